"""The link layer of docs/protocol.md §3: segments, credits, records. No I/O: bytes in, messages and bytes out.

Owns one link's sequence numbers, reassembly, credits and record counters. Which message may come when is the party's.
"""
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys import FIRST_CREDITS, SEGMENT_BYTES

START, END, LANE, EPOCH, GRANT = 0x80, 0x40, 0x20, 0x10, 0x08
TYPE_OPEN, TYPE_REJECT = 0, 42
TAG = 16


class Violation(Exception):
    """The peer broke the rules of the link layer, or a record does not open: the link is closed without a word."""


class _Direction:
    """Keys and record counters of one way."""

    def __init__(self):
        self.keys = {}
        self.counters = {}

    def nonce(self, lane, epoch):
        _, iv = self.keys[epoch]
        counter = self.counters.get((lane, epoch), 0)
        self.counters[lane, epoch] = counter + 1
        mask = bytes([lane, 0, 0, 0]) + counter.to_bytes(8, 'big')
        return bytes(a ^ b for a, b in zip(iv, mask))


class Link:
    def __init__(self, segment_bytes, write):
        """@param segment_bytes ATT_MTU − 3 @param write takes one segment for the radio"""
        self.segment_bytes = min(segment_bytes, SEGMENT_BYTES)
        self.limit = 2048
        self._write = write
        self._out, self._in = _Direction(), _Direction()
        # Sending: messages that wait, by lane; each [bytes left, whole length, epoch, started, free of credit].
        self._waiting = ([], [])
        self._seq_out = 0
        self._credit = None
        self._early_grants = 0
        # Receiving: what is open, by lane.
        self._partial = [None, None]
        self._seq_in = 0
        self._granted = FIRST_CREDITS
        self._owed = 0
        self._record_came = False
        self.epoch_out = 0
        self._epoch_in = 0

    # Keys

    def use_keys(self, epoch, sending, receiving):
        """Each a pair of key and iv."""
        self._out.keys[epoch] = sending
        self._in.keys[epoch] = receiving

    def peer_opened(self, segment_bytes, credits):
        self.segment_bytes = min(self.segment_bytes, segment_bytes)
        self._credit = credits + self._early_grants
        if self._credit > 255:
            raise Violation('credits')
        self._pump()

    # Sending

    def send_plain(self, kind, body):
        self._waiting[0].append([bytes([kind]) + body, 1 + len(body), 0, False, True])
        self._pump()

    def send(self, kind, body, lane=0):
        key, _ = self._out.keys[self.epoch_out]
        nonce = self._out.nonce(lane, self.epoch_out)
        record = AESGCM(key).encrypt(nonce, bytes([kind]) + body, None)
        self._waiting[lane].append([record, len(record), self.epoch_out, False, False])
        self._pump()

    def keep_alive(self):
        self._write(bytes([GRANT, 0]))

    def _pump(self):
        while True:
            lane = 0 if self._waiting[0] else 1
            if not self._waiting[lane]:
                return
            message = self._waiting[lane][0]
            if not message[4]:
                if not self._credit:
                    return
                self._credit -= 1
            self._write(self._cut(lane, message))
            if not message[0]:
                self._waiting[lane].pop(0)

    def _cut(self, lane, message):
        left, length, epoch, started, _ = message
        header = self._seq_out | (EPOCH if epoch else 0) | (LANE if lane else 0)
        extra = b''
        room = self.segment_bytes - 1
        whole = not started and len(left) <= room
        if not started:
            header |= START
        if not started and not whole:
            room -= 2
        # A grant rides along unless its byte would cost one more segment.
        if self._owed and not (len(left) <= room < len(left) + 1):
            header |= GRANT
            extra = bytes([self._owed])
            self._granted += self._owed
            self._owed = 0
            room -= 1
        if not started and not whole:
            extra += length.to_bytes(2, 'big')
        payload, message[0] = left[:room], left[room:]
        if not message[0]:
            header |= END
        message[3] = True
        self._seq_out = (self._seq_out + 1) % 8
        return bytes([header]) + extra + payload

    # Receiving

    def receive(self, segment):
        """@returns the message that this segment completes, (type, body, lane), or None"""
        if not 2 <= len(segment) <= self.segment_bytes:
            raise Violation('length of a segment')
        header, rest = segment[0], segment[1:]
        lane, epoch = (header & LANE) // LANE, (header & EPOCH) // EPOCH
        if header == GRANT and len(segment) == 2:
            return self._take_grant(rest[0])
        if header & 7 != self._seq_in:
            raise Violation('sequence')
        self._seq_in = (self._seq_in + 1) % 8
        if header & GRANT:
            self._take_grant(rest[0])
            rest = rest[1:]
        partial = self._partial[lane]
        if header & START:
            if partial is not None:
                raise Violation('START inside a message')
            length = None
            if not header & END:
                length, rest = int.from_bytes(rest[:2], 'big'), rest[2:]
                if length <= len(rest):
                    raise Violation('stated length')
            partial = self._partial[lane] = [b'', length, epoch]
        elif partial is None:
            raise Violation('no START')
        if not rest:
            raise Violation('no payload')
        if epoch != partial[2]:
            raise Violation('epoch inside a message')
        partial[0] += rest
        limit = self.limit if self._in.keys else 128
        whole = partial[1] or len(rest)
        if whole > limit or (len(partial[0]) == whole) != bool(header & END):
            raise Violation('length of a message')
        if not header & END:
            self._spend(counts=bool(self._in.keys))
            return None
        self._partial[lane] = None
        return self._complete(partial[0], lane, epoch)

    def _complete(self, data, lane, epoch):
        # OPEN is the first message; so short a one cannot be a record, so it is a Reject.
        plain = not self._in.keys or (epoch == 0 and len(data) <= TAG)
        self._spend(counts=not plain)
        if plain:
            if lane or epoch or self._record_came or data[0] not in (TYPE_OPEN, TYPE_REJECT):
                raise Violation('plaintext')
            return data[0], data[1:], 0
        if epoch not in self._in.keys or epoch < self._epoch_in:
            raise Violation('no keys for this epoch')
        key, _ = self._in.keys[epoch]
        try:
            clear = AESGCM(key).decrypt(self._in.nonce(lane, epoch), data, None)
        except InvalidTag as error:
            raise Violation('record') from error
        if not clear:
            raise Violation('empty record')
        self._record_came, self._epoch_in = True, epoch
        return clear[0], clear[1:], lane

    def _spend(self, counts):
        """One segment of the peer came."""
        if not counts:
            return
        if self._granted == 0:
            raise Violation('segment without credit')
        self._granted -= 1
        self._owed += 1

    def grant(self):
        """After what was received is dealt with: the peer shall not fall below half of its first credits."""
        if self._granted < FIRST_CREDITS // 2:
            self._write(bytes([GRANT, self._owed]))
            self._granted, self._owed = self._granted + self._owed, 0

    def _take_grant(self, credits):
        if self._credit is None:
            self._early_grants += credits
        else:
            self._credit += credits
        if (self._credit or self._early_grants) > 255:
            raise Violation('credits')
        self._pump()
