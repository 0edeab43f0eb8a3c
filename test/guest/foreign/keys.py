"""OPEN, transcript and key schedule: docs/protocol.md §5. Pure functions over bytes."""
import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric import ec

from canonical import array, bstr, encode, fields, parse, uint
from cose import Refused, point, sha256, x_of

PNE, GATEWAY = 1, 2
ESTABLISH, ENROL, RESUME = 1, 2, 3
SEGMENT_BYTES = 244
FIRST_CREDITS = 32

VERSION_MISMATCH, SUITE_MISMATCH, MALFORMED, UNEXPECTED = 32, 33, 34, 36

_small = array(1, 4, uint(1, 255))
OPEN = fields(
    {1: _small, 2: _small, 3: uint(1, 2), 4: uint(20, 244), 5: uint(1, 255), 6: bstr(32)},
    {7: uint(1, 3), 8: bstr(8)},
)


def write_open(role, ephemeral, kind=None, rid=None):
    value = {1: [1], 2: [1], 3: role, 4: SEGMENT_BYTES, 5: FIRST_CREDITS, 6: x_of(ephemeral.public_key())}
    if kind is not None:
        value[7] = kind
    if rid is not None:
        value[8] = rid
    return encode(value)


def read_open(body, from_central, role):
    """Checks in the document's order. @raises Malformed, Refused with the status of the Reject"""
    value = parse(body, OPEN)
    # kind is the central's, rid goes with kind 3 only
    if (7 in value) != from_central or (8 in value) != (value.get(7) == RESUME):
        raise Refused(MALFORMED, 'kind or rid')
    if 1 not in value[1]:
        raise Refused(VERSION_MISMATCH)
    if value[2][0] != 1:
        raise Refused(SUITE_MISMATCH)
    if value[3] != role:
        raise Refused(UNEXPECTED, 'two sides of one role')
    return value


def hkdf_extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def hkdf_expand(prk, info, length):
    out, block, counter = b'', b'', 1
    while len(out) < length:
        block = hmac.new(prk, block + info.encode() + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def th1(kind, open_g, open_p):
    return sha256(encode(['cpns1', kind, open_g, open_p]))


def compared_digits(transcript, e2, salt):
    """What both sides of an enrolment show when it is the gateway's code (§7.2)."""
    return f"{int.from_bytes(sha256(transcript + e2 + salt)[:4], 'big') % 1_000_000:06}"


def chain(before, *more):
    """th2 = chain(th1, m1, m2); th3 = chain(th2, challengePayload); likewise in enrolment (§7.2)."""
    return sha256(encode([before, *more]))


def agree(ephemeral, peer_x):
    """Z. The peer's point has an even y by definition; its x alone decides Z."""
    return ephemeral.exchange(ec.ECDH(), point(peer_x, False))


def prk1(th, z, extra=b''):
    return hkdf_extract(th, z + extra)


def directions(prk, stage):
    """Keys of an epoch, `stage` hs or ap: {'g2p': (key, iv), 'p2g': (key, iv)}."""
    return {
        way: (hkdf_expand(prk, f'cpns1 {stage} {way} key', 16), hkdf_expand(prk, f'cpns1 {stage} {way} iv', 12))
        for way in ('g2p', 'p2g')
    }


def resumption_secret(prk2):
    return hkdf_expand(prk2, 'cpns1 resume', 32)


def rid_of(rms, peripheral_x):
    return hmac.new(hkdf_expand(rms, 'cpns1 rid', 32), peripheral_x, hashlib.sha256).digest()[:8]


def advertised_tag(rms, salt):
    return hmac.new(hkdf_expand(rms, 'cpns1 adv', 32), salt, hashlib.sha256).digest()[:3]


def find_tag(secret, salt):
    return hmac.new(hkdf_expand(secret, 'cpns1 find', 32), salt, hashlib.sha256).digest()[:6]
