"""One link of a party, PNE or gateway: OPENs, deadlines, keep-alive, its end (docs/protocol.md §3.5, §5.1, §10).

Owns what is the same for every kind of link. What the messages mean is its subclasses' (pne.py, gateway.py).
"""
import time

import keys
from canonical import Malformed, encode, parse
from cose import Refused, new_key
from link import TYPE_OPEN, TYPE_REJECT, Link, Violation
from messages import ABORT, FAILURE, UNEXPECTED

KEEP_ALIVE_S, PEER_LOST_S, LAST_WORD_S = 10, 30, 0.5


class Session:
    role = None
    peer_role = None
    is_central = False

    def __init__(self, wire, say):
        """@param wire has segment_bytes, send(segment) and close() @param say tells the user an event, as keywords"""
        self.wire, self.say = wire, say
        self.link = Link(wire.segment_bytes, self._write)
        self.ephemeral = new_key()
        self.own_open = self.peer_open = None
        self.kind = None
        self.state = 'opening'
        self.ended = False
        self._heard_at = self._sent_at = time.monotonic()
        self._deadline = None
        self._close_at = None
        self.expect(2)

    # What subclasses say

    def on_opened(self, peer):
        raise NotImplementedError

    def on_message(self, kind, body, lane):
        raise NotImplementedError

    def on_end(self, why):
        """The link is gone."""

    # The radio's side

    def receive(self, segment):
        if self.ended or self._close_at:
            return
        self._heard_at = time.monotonic()
        try:
            message = self.link.receive(segment)
            if message:
                self._take(*message)
            if not self.ended:
                self.link.grant()
        except Violation as violation:
            self.end(str(violation))
        except Malformed as malformed:
            self.abort(keys.MALFORMED, str(malformed))
        except Refused as refused:
            self.abort(refused.status, str(refused))

    def lost(self):
        """The radio says that there is no link any more."""
        self._end('link-lost')

    def tick(self):
        """To be called a few times a second."""
        now = time.monotonic()
        if self.ended:
            return
        if self._close_at is not None:
            if now >= self._close_at:
                self.end('done')
        elif self._deadline is not None and now >= self._deadline:
            self.abort(114, f'timeout in {self.state}')
        elif now - self._heard_at > PEER_LOST_S:
            self.end('peer-lost')
        elif now - self._sent_at > KEEP_ALIVE_S and self.peer_open:
            self.link.keep_alive()
        self.on_tick(now)

    def on_tick(self, now):
        pass

    # Subclasses' means

    def expect(self, seconds):
        """The next message shall come within so many seconds; None: whenever."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def send_open(self, kind=None, rid=None):
        self.own_open = keys.write_open(self.role, self.ephemeral, kind, rid)
        self.link.send_plain(TYPE_OPEN, self.own_open)

    def send(self, kind, value, lane=0):
        self.link.send(kind, value if isinstance(value, bytes) else encode(value), lane)

    def use_keys(self, epoch, prk, stage, sending=True):
        """The keys of an epoch, to receive with and, unless said otherwise, to send with from now on."""
        ways = keys.directions(prk, stage)
        own, peer = ('p2g', 'g2p') if self.role == keys.PNE else ('g2p', 'p2g')
        self.link.use_keys(epoch, ways[own], ways[peer])
        if sending:
            self.link.epoch_out = epoch

    def opens(self):
        """openG, openP"""
        return (self.peer_open, self.own_open) if self.role == keys.PNE else (self.own_open, self.peer_open)

    def abort(self, status, why):
        """Says why, then closes: Reject while there are no keys, Abort later."""
        self.say(event='failed', status=status, why=why)
        if self.link._out.keys:
            self.send(ABORT, {1: status})
        else:
            self.link.send_plain(TYPE_REJECT, encode({1: status}))
        self.last_word()

    def last_word(self):
        """A disconnection may overtake what is queued in a controller: it is left to the peer for a while."""
        self._close_at = time.monotonic() + LAST_WORD_S

    def end(self, why):
        self.wire.close()
        self._end(why)

    # Within

    def _end(self, why):
        if self.ended:
            return
        self.ended = True
        self.ephemeral = None
        self.say(event='link-ended', why=why)
        self.on_end(why)

    def _write(self, segment):
        self._sent_at = time.monotonic()
        self.wire.send(segment)

    def _take(self, kind, body, lane):
        if kind == TYPE_REJECT and self.link._record_came is False:
            status = parse(body, FAILURE)[1]
            self.say(event='rejected', status=status)
            return self.end(f'rejected with {status}')
        if self.peer_open is None:
            if kind != TYPE_OPEN:
                raise Violation('no OPEN')
            value = keys.read_open(body, not self.is_central, self.peer_role)
            self.peer_open = body
            return self.on_opened(value)
        if kind == ABORT:
            status = parse(body, FAILURE)[1]
            self.say(event='aborted', status=status)
            return self.end(f'aborted with {status}')
        if lane != (1 if kind == 64 else 0):
            raise Refused(UNEXPECTED, 'lane')
        self.on_message(kind, body, lane)
