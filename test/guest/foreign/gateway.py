"""An initiating gateway in Python, from docs/protocol.md alone: steps 1 to 7 and 11 to 13 (§1, §6, §9, §12).

No Bluetooth in here: what carries its segments is gateway_on_bluez.py, and how requests are made it is told.
"""
import os

import keys
import messages as m
from canonical import encode, parse
from cose import Refused, gateway_id, read_cose_key, sign
from session import Session

FRESH = {'enrolled': None, 'pns': [], 'joins': []}
CHALLENGED, VERIFIED, REGISTERED, REFUSED = 1, 2, 3, 4
WAITING_EVERY_S = 10


class Gateway:
    """What outlives links: keys, its network, its joins."""

    def __init__(self, store, say):
        self.store, self.say = store, say
        self.links = {}
        self.show()

    @property
    def enrolled(self):
        return self.store.data['enrolled']

    @property
    def server_keys(self):
        return [read_cose_key({1: 2, -1: 1, -2: bytes.fromhex(x), -3: odd}) for x, odd in self.enrolled['serverKeys']]

    def take_enrolment(self, answer, ca):
        self.store.data['enrolled'] = {
            'certificates': [one.hex() for one in answer[1]], 'ca': ca, 'credential': answer[2].hex(),
            'serverKeys': [[key[-2].hex(), key[-3]] for key in answer[4]],
        }
        self.commit()
        self.say(event='enrolled', user=answer[6], gateway=answer[7])

    def commit(self):
        self.store.commit()
        self.show()

    def show(self):
        """In the form of a gateway's view of test/faults/state-view.ts."""
        pns = ('pnId', 'setup', 'version', 'inventory')
        joins = ('joinId', 'th3', 'pnId', 'pne', 'state', 'outcome', 'acknowledged')
        self.store.show({
            'role': 'gateway', 'home': [],
            'pns': [{name: pn[name] for name in pns if name in pn} for pn in self.store.data['pns']],
            'joins': [{name: join[name] for name in joins if name in join} for join in self.store.data['joins']],
        })

    def pn(self):
        """The one network; provisional until somebody is in it."""
        if not self.store.data['pns']:
            self.store.data['pns'].append(
                {'pnId': os.urandom(8).hex(), 'setup': 'provisional', 'version': 0, 'name': 'Snake pit'})
            self.commit()
        return self.store.data['pns'][0]

    def drop_provisional(self):
        """A network with nobody in it vanishes with the attempt, unless one has signed and is owed an end (§12)."""
        if not any(join['state'] == 'pending' for join in self.store.data['joins']):
            self.store.data['pns'] = [pn for pn in self.store.data['pns'] if pn['setup'] == 'live']
            self.commit()

    def on_frame(self, frame):
        """Of the channel (§9). @returns what goes back, after the durable write"""
        kind, body = frame[2], frame[3]
        if kind == 41:
            self.say(event='waiting', status=body[2])
            link = self.links.get(body[1].hex())
            if link:
                link.waits_for = body[2]
            return None
        if kind == 11:
            self.settle(body)
        elif kind == 15:
            self.take_inventory(body[2])
        else:
            raise ValueError(f'kind {kind}')
        self.commit()
        return {1: frame[1]}

    def settle(self, body):
        """Steps 11 and 12."""
        join = next((join for join in self.store.data['joins'] if join['txn'] == body[1].hex()), None)
        if join is None:
            return
        if body[2] == 0:
            inventory = m.read_inventory(body[3], self.server_keys)
            if not any(member[2].hex() == join['joinId'] for member in inventory[6]):
                raise Refused(m.INVENTORY_INVALID)
            self.take_inventory(body[3])
            join['state'] = 'live'
        else:
            m.read_outcome(body[4], self.server_keys, bytes.fromhex(join['th3']))
            join.update(state='refused', status=body[2], outcome=body[4].hex())
            self.drop_provisional()
        self.say(event='settled', state=join['state'])
        link = self.links.get(join['txn'])
        if link:
            link.outcome = body

    def take_inventory(self, word):
        inventory = m.read_inventory(word, self.server_keys)
        pn = self.pn()
        own = gateway_id(self.store.key.public_key())
        if (inventory[1].hex(), inventory[4]) != (pn['pnId'], own):
            raise Refused(m.INVENTORY_INVALID)
        if inventory[2] > pn['version']:
            pn.update(setup='live', version=inventory[2], inventory=word.hex())


class GatewayLink(Session):
    role, peer_role, is_central = keys.GATEWAY, keys.PNE, True

    def __init__(self, gateway, wire, request):
        """@param request of the server: method, path, value → value"""
        super().__init__(wire, gateway.say)
        self.gateway, self.request = gateway, request
        self.outcome = self.waits_for = self.txn = None
        self._waiting_at = 0

    def on_opened(self, peer):
        """The peripheral's OPEN comes first."""
        self.kind = keys.ESTABLISH
        self.send_open(self.kind)
        self.th1 = keys.th1(self.kind, *self.opens())
        self.prk1 = keys.prk1(self.th1, keys.agree(self.ephemeral, peer[6]))
        self.use_keys(0, self.prk1, 'hs')
        self.link.peer_opened(peer[4], peer[5])
        pn = self.gateway.pn()
        self.m1 = sign(self.gateway.store.key, 'cpns1/setup-request', self.th1, encode({
            1: bytes.fromhex(pn['pnId']), 2: 2 if pn['setup'] == 'live' else 1, 3: pn['name'],
            4: bytes.fromhex(self.gateway.enrolled['credential']),
        }))
        self.send(m.SETUP_REQUEST, self.m1)
        self.state = 'await-2'
        self.expect(60)

    def on_message(self, kind, body, lane):
        handler = {
            ('await-2', m.SETUP_RESPONSE): self.step2,
            ('await-6', m.RESPONSE): self.step6,
            ('await-ack', m.ACK): self.acknowledged,
            ('live', m.DATA): self.data,
        }.get((self.state, kind))
        if handler is None:
            raise Refused(m.UNEXPECTED, f'type {kind} in {self.state}')
        handler(body)

    def step2(self, padded):
        m2, value = m.read_setup_response(padded)
        if value[1]:
            self.say(event='declined', status=value[1])
            return self.end('declined')
        self.link.limit = 8192
        self.pne = value[6]
        self.th2 = keys.chain(self.th1, self.m1, m2)
        self.txn = self.th2[:16].hex()
        open_g, open_p = self.opens()
        answer = self.request('PUT', f'registrations/{self.txn}', {
            1: open_g, 2: open_p, 3: self.m1, 4: m2, 5: {1: encode({'class': 'foreign'}), 2: 'snake-1'}})
        self.challenge, _ = m.read_challenge(answer[1], self.gateway.server_keys, self.th2)
        self.th3 = keys.chain(self.th2, self.challenge)
        self.send(m.CHALLENGE, answer[1])
        self.state = 'await-6'
        self.expect(10)

    def step6(self, body):
        self.prk2 = keys.hkdf_extract(self.th3, self.prk1)
        self.join = {
            'txn': self.txn, 'joinId': self.th3[:16].hex(), 'th3': self.th3.hex(), 'pnId': self.gateway.pn()['pnId'],
            'pne': self.pne.hex(), 'state': 'pending', 'acknowledged': False,
            'rms': keys.resumption_secret(self.prk2).hex(), 'step6': body.hex(),
        }
        self.gateway.store.data['joins'].append(self.join)
        self.gateway.commit()
        self.use_keys(1, self.prk2, 'ap')
        self.gateway.links[self.txn] = self
        state = self.request('PUT', f'registrations/{self.txn}/response', {1: body})
        self.waits_for = state[2] if state[1] == VERIFIED else None
        self.state = 'await-11'
        self.expect(None)

    def on_tick(self, now):
        if self.state != 'await-11' or self.ended:
            return
        if self.outcome:
            status, word = self.outcome[2], self.outcome.get(3) or self.outcome.get(4)
            self.send(m.NOTIFY, {1: 0, 2: word} if status == 0 else {1: status, 3: word})
            self.state = 'await-ack'
            self.expect(10)
        elif self.waits_for in (100, 101) and now - self._waiting_at > WAITING_EVERY_S:
            self._waiting_at = now
            self.send(m.WAITING, {1: self.waits_for})

    def acknowledged(self, body):
        if parse(body, m.STATUS)[1]:
            return self.end('not acknowledged')
        self.join['acknowledged'] = True
        self.gateway.commit()
        if self.join['state'] == 'refused':
            return self.last_word()
        self.link.limit = 65535
        self.state = 'live'
        self.expect(None)
        self.say(event='member-in', joinId=self.join['joinId'], segmentBytes=self.link.segment_bytes)
        # §6.6: data of both sides may flow now; more than the radio's first window has room for.
        self.send(m.DATA, b'from Python ' * 300, lane=1)

    def data(self, body):
        self.say(event='data', bytes=len(body))

    def on_end(self, why):
        self.gateway.links.pop(self.txn, None)
        self.gateway.drop_provisional()
