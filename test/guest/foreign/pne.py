"""A PNE in Python, from docs/protocol.md alone: enrolment (§7.2), establishment (§6), resumption (§8), state (§12).

No I/O but its store: it is given segments and gives segments. What carries them is pne_on_bluez.py.
"""
import os
import time

import enrolment_code
import keys
import messages as m
from canonical import encode, parse
from cose import Refused, cose_key, gateway_id, read_cose_key, sign, thumbprint
from session import Session

FRESH = {'owner': None, 'epoch': 0, 'code': None, 'powered': 0, 'joins': []}
MEMBERSHIPS, PENDING, PENDING_OF_ONE = 8, 4, 3
LIVE_BYTES, UNFINISHED_BYTES = 65535, 8192


class Pne:
    """What outlives links: keys, owner, joins, the code that is shown."""

    def __init__(self, store, pne_id, capability, accepts, say):
        """@param accepts the users whose networks it joins"""
        self.store, self.pne_id, self.capability, self.accepts, self.say = store, pne_id, capability, accepts, say
        self._started = time.monotonic()
        self._floor_at = self._started
        self.show()

    @property
    def owner(self):
        return self.store.data['owner']

    @property
    def joins(self):
        return self.store.data['joins']

    @property
    def server_keys(self):
        return [read_cose_key(_key_value(key)) for key in self.owner['serverKeys']] if self.owner else []

    def now(self):
        """The server's time, as far as it is known; it never goes back (§4.3)."""
        return self.owner['floor'] + int(time.monotonic() - self._floor_at)

    def raise_floor(self, server_time):
        if server_time > self.owner['floor']:
            self.owner['floor'] = server_time
            self._floor_at = time.monotonic()

    def commit(self):
        self.store.commit()
        self.show()

    def show(self):
        """In the form of a PNE's view of test/faults/state-view.ts."""
        shown = ('th3', 'state', 'pnId', 'gatewayId', 'version', 'inventory')
        self.store.show({
            'role': 'pne',
            'thumbprint': thumbprint(self.store.key.public_key()).hex(),
            'floor': self.owner['floor'] if self.owner else 0,
            'poweredSeconds': int(time.monotonic() - self._started),
            'joins': [{name: join[name] for name in shown if name in join} for join in self.joins],
        })

    def show_code(self):
        """A new code, for ten minutes. @returns its text"""
        secret = os.urandom(12)
        self.store.data['code'] = {'secret': secret.hex(), 'until': time.time() + 600, 'gateway': None}
        self.store.commit()
        return enrolment_code.write(self.store.key.public_key(), secret)

    def secret(self):
        """S of the code that is being shown, or None."""
        code = self.store.data['code']
        return bytes.fromhex(code['secret']) if code and time.time() < code['until'] else None

    def advertisement(self):
        """The 13 bytes of service data (§2.2)."""
        salt, secret = os.urandom(3), self.secret()
        candidates = sorted(self.joins, key=lambda join: join['state'] != 'pending')
        tags = [keys.advertised_tag(bytes.fromhex(join['rms']), salt) for join in candidates]
        if self.owner:
            tags.append(keys.advertised_tag(bytes.fromhex(self.owner['homeRms']), salt))
        if secret:
            tags = [keys.find_tag(secret, salt), *tags[:1]]
        joinable = self.owner is not None and len(self.joins) < MEMBERSHIPS
        flags = 1 << 5 | 1 << 3 | (4 if secret else 0) | (2 if joinable else 0)
        body = b''.join(tags)[:9]
        return bytes([flags]) + salt + body + os.urandom(9 - len(body))

    def join_of(self, rid_to_find, own_x):
        """The join that a rid names."""
        for join in self.joins:
            if keys.rid_of(bytes.fromhex(join['rms']), own_x) == rid_to_find:
                return join
        return None


def _key_value(hexed):
    x, odd = bytes.fromhex(hexed[2:]), hexed[:2] == '03'
    return {1: 2, -1: 1, -2: x, -3: odd}


def _key_text(value):
    return ('03' if value[-3] else '02') + value[-2].hex()


class PneLink(Session):
    role, peer_role = keys.PNE, keys.GATEWAY

    def __init__(self, pne, wire):
        super().__init__(wire, pne.say)
        self.pne = pne
        self.join = None
        self.send_open()

    # OPEN, §5.1

    def on_opened(self, peer):
        self.kind = peer[7]
        open_g, open_p = self.opens()
        extra = b''
        if self.kind == keys.ENROL:
            extra = self.pne.secret()
            if extra is None:
                raise Refused(m.CODE_SPENT)
        elif self.kind == keys.RESUME:
            self.join = self.pne.join_of(peer[8], self.ephemeral.public_key().public_numbers().x.to_bytes(32, 'big'))
            if self.join is None:
                raise Refused(m.UNKNOWN_SESSION)
            extra = bytes.fromhex(self.join['rms'])
        self.th1 = keys.th1(self.kind, open_g, open_p)
        self.prk1 = keys.prk1(self.th1, keys.agree(self.ephemeral, peer[6]), extra)
        resumed = self.kind == keys.RESUME
        self.use_keys(1 if resumed else 0, self.prk1, 'ap' if resumed else 'hs')
        self.link.peer_opened(peer[4], peer[5])
        self.state = {keys.ESTABLISH: 'await-1', keys.ENROL: 'await-e1', keys.RESUME: 'await-resume'}[self.kind]
        self.expect(3)

    def on_message(self, kind, body, lane):
        handler = {
            ('await-1', m.SETUP_REQUEST): self.step1,
            ('declined', m.SERVER_KEYS): self.server_keys,
            ('await-5', m.CHALLENGE): self.step5,
            ('await-13', m.NOTIFY): self.step13,
            ('await-13', m.WAITING): self.waiting,
            ('await-e1', m.ENROL_OFFER): self.offer,
            ('await-e3', m.ENROL_RECEIPT): self.receipt,
            ('await-resume', m.RESUME): self.resume,
            ('live', m.UPDATE): self.step13,
            ('live', m.FRESHNESS_STATEMENT): self.freshness,
            ('live', m.SERVER_KEYS): self.server_keys,
            ('await-13', m.SERVER_KEYS): self.server_keys,
            ('live', m.DATA): self.data,
        }.get((self.state, kind))
        if handler is None:
            raise Refused(m.UNEXPECTED, f'type {kind} in {self.state}')
        handler(body)

    # Establishment, §6 and §13

    def step1(self, m1):
        try:
            now = self.pne.now() if self.pne.owner else None  # without an owner no key is pinned, and none fits
            payload, self.credential = m.read_setup_request(m1, self.th1, self.pne.server_keys, now)
            self._limits(payload[1])
            if self.credential.user not in self.pne.accepts:
                raise Refused(m.DECLINED, self.credential.user)
        except Refused as refused:
            self.say(event='declined', status=refused.status)
            self.send(m.SETUP_RESPONSE, m.pad_step2(encode({1: refused.status})))
            self.state = 'declined'
            return self.expect(10)
        self.pn_id = payload[1]
        m2 = encode({
            1: 0, 2: self.pne.capability, 4: self.pne.pne_id, 5: self.pne.owner['home'],
            6: thumbprint(self.pne.store.key.public_key()),
        })
        self.th2 = keys.chain(self.th1, m1, m2)
        self.send(m.SETUP_RESPONSE, m.pad_step2(m2))
        self.link.limit = UNFINISHED_BYTES
        self.state = 'await-5'
        self.say(event='invited', user=self.credential.user, pnId=self.pn_id.hex(), name=payload[3])
        self.expect(30)

    def _limits(self, pn_id):
        others = [join for join in self.pne.joins if join['pnId'] != pn_id.hex()]
        pending = [join for join in others if join['state'] == 'pending']
        of_this = [join for join in pending if join['gatewayId'] == self.credential.gateway_id.hex()]
        if len(pending) >= PENDING or len(of_this) >= PENDING_OF_ONE:
            raise Refused(m.BUSY)
        if len(others) - len(pending) >= MEMBERSHIPS:
            raise Refused(m.TOO_MANY)

    def step5(self, body):
        payload, server_time = m.read_challenge(body, self.pne.server_keys, self.th2)
        self.pne.raise_floor(server_time)
        if self.credential.expires < self.pne.now():
            raise Refused(m.EXPIRED)
        th3 = keys.chain(self.th2, payload)
        prk2 = keys.hkdf_extract(th3, self.prk1)
        # A later join of the same network takes the place of a pending one.
        self.pne.store.data['joins'] = [
            join for join in self.pne.joins
            if join['state'] == 'member' or join['pnId'] != self.pn_id.hex()]
        self.join = {
            'th3': th3.hex(), 'state': 'pending', 'pnId': self.pn_id.hex(), 'version': 0,
            'gatewayId': self.credential.gateway_id.hex(), 'rms': keys.resumption_secret(prk2).hex(),
        }
        self.pne.joins.append(self.join)
        self.pne.commit()
        self.send(m.RESPONSE, sign(self.pne.store.key, 'cpns1/response', th3, encode({1: 0})))
        self.use_keys(1, prk2, 'ap')
        self.state = 'await-13'
        self.say(event='signed', th3=th3.hex())
        self.expect(60)

    def waiting(self, body):
        parse(body, m.fields({1: m.uint(100, 101)}))
        self.expect(60)

    def step13(self, body):
        status, word = m.read_notify(body)
        th3 = bytes.fromhex(self.join['th3'])
        if status:
            if self.state != 'await-13' or m.read_outcome(word, self.pne.server_keys, th3) != status:
                raise Refused(m.OUTCOME_INVALID)
            self.pne.joins.remove(self.join)
            self.pne.commit()
            self.send(m.ACK, {1: 0})
            self.say(event='refused', status=status)
            return self.last_word()
        inventory = m.read_inventory(word, self.pne.server_keys)
        own = next((member for member in inventory[6] if member[2] == th3[:16]), None)
        mine = (inventory[1].hex(), inventory[4].hex()) == (self.join['pnId'], self.join['gatewayId'])
        if not mine or inventory[2] < self.join['version'] or own is None or own[3] != self.pne.capability:
            raise Refused(m.INVENTORY_INVALID)
        # It was a member by an earlier join of the same network: this one takes its place.
        self.pne.store.data['joins'] = [
            join for join in self.pne.joins if join is self.join or join['pnId'] != self.join['pnId']]
        self.join.update(state='member', version=inventory[2], inventory=word.hex())
        self.pne.commit()
        self.send(m.ACK, {1: 0})
        self.live()
        self.say(event='member', pnId=self.join['pnId'], version=inventory[2], members=len(inventory[6]))

    def live(self):
        self.link.limit = LIVE_BYTES
        self.state = 'live'
        self.expect(None)

    def data(self, body):
        self.say(event='data', bytes=len(body))
        self.send(m.DATA, body, lane=1)

    # Server keys, §4.4

    def server_keys(self, body):
        new, issued_at = m.read_server_keys(body, read_cose_key(_key_value(self.pne.owner['rootKey'])))
        if issued_at <= self.pne.owner['keysIssuedAt']:
            raise Refused(m.CREDENTIAL_INVALID, 'not newer')
        self.pne.owner.update(serverKeys=[_key_text(key) for key in new], keysIssuedAt=issued_at)
        self.pne.commit()
        if self.state == 'declined':
            self.last_word()

    # Enrolment, §7.2

    def offer(self, e1):
        offer = m.read_offer(e1, self.th1)
        code = self.pne.store.data['code']
        gateway = offer[1][-2].hex()
        if code['gateway'] not in (None, gateway):
            raise Refused(m.CODE_SPENT)
        code['gateway'] = gateway
        self.pne.store.data['epoch'] += 1
        self.pne.commit()
        self.offered, self.e1 = offer, e1
        self.e2 = sign(self.pne.store.key, 'cpns1/enrol-claim', keys.chain(self.th1, e1), encode({
            1: cose_key(self.pne.store.key.public_key()), 2: self.pne.pne_id, 3: self.pne.capability,
            4: self.pne.store.data['epoch'],
        }))
        self.send(m.ENROL_CLAIM, self.e2)
        self.state = 'await-e3'
        self.expect(15)

    def receipt(self, e3):
        server_keys = [read_cose_key(key) for key in self.offered[3]]
        receipt = m.read_receipt(e3, server_keys, self.th1, self.e1, self.e2)
        own = thumbprint(self.pne.store.key.public_key())
        gateway = gateway_id(read_cose_key(self.offered[1]))
        if (receipt[1], receipt[2], receipt[4]) != (own, gateway, self.pne.store.data['epoch']):
            raise Refused(m.RECEIPT_INVALID)
        self.pne.store.data.update(code=None, owner={
            'user': receipt[3], 'rootKey': _key_text(self.offered[2]), 'home': self.offered[4],
            'serverKeys': [_key_text(key) for key in self.offered[3]], 'keysIssuedAt': receipt[5], 'floor': receipt[5],
            'homeRms': keys.hkdf_expand(self.prk1, 'cpns1 home resume', 32).hex(),
        })
        self.pne._floor_at = time.monotonic()
        self.pne.commit()
        self.send(m.ENROL_ACK, {1: 0})
        self.say(event='enrolled', user=receipt[3], home=self.offered[4])
        self.last_word()

    # Resumption, §8

    def resume(self, body):
        value = parse(body, m.RESUME_BODY)
        if value[1].hex() != self.join['pnId']:
            raise Refused(m.UNKNOWN_SESSION)
        self.link.limit = UNFINISHED_BYTES
        self.send(m.RESUMED, {1: 0, 2: self.join['version'], 3: self.pne.owner['keysIssuedAt']})
        self.say(event='resumed', pnId=self.join['pnId'], version=self.join['version'])
        if self.join['state'] == 'member':
            return self.live()
        self.state = 'await-13'
        self.expect(60)

    def freshness(self, body):
        payload = m.open_server_signed(body, self.pne.server_keys, 'cpns1/freshness', self.th1, m.OUTCOME_INVALID)
        value = parse(payload, m.FRESHNESS)
        if value[4].hex() != self.join['th3'][:32]:
            raise Refused(m.OUTCOME_INVALID)
        self.pne.raise_floor(value[3])
        self.pne.commit()
        if value[1]:
            raise Refused(value[1])
        self.say(event='fresh', version=value[2])
