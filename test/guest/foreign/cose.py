"""COSE as docs/protocol.md §4.2 narrows it: ES256, COSE_Sign1 without a tag, compressed COSE_Keys, thumbprints.

Owns signatures and keys. What is signed, and in which context, its callers say.
"""
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from canonical import Malformed, decode, encode

PROTECTED = bytes.fromhex('a10126')


class Refused(Exception):
    """A check of §13 failed. `status` is the number that the peer is told."""

    def __init__(self, status, why=''):
        super().__init__(f'status {status} {why}')
        self.status = status


def sha256(data):
    return hashlib.sha256(data).digest()


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def x_of(public):
    return public.public_numbers().x.to_bytes(32, 'big')


def cose_key(public):
    """COSE_Key, compressed, as a value that goes into a message."""
    return {1: 2, -1: 1, -2: x_of(public), -3: bool(public.public_numbers().y & 1)}


def read_cose_key(value):
    if not isinstance(value, dict) or value.keys() != {1, -1, -2, -3} or value[1] != 2 or value[-1] != 1:
        raise Malformed('not a COSE_Key')
    x, y = value[-2], value[-3]
    if not isinstance(x, bytes) or len(x) != 32 or not isinstance(y, bool):
        raise Malformed('not a compressed point')
    return point(x, y)


def point(x, odd):
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes([3 if odd else 2]) + x)
    except ValueError as error:
        raise Malformed('not a point of P-256') from error


def thumbprint(public):
    numbers = public.public_numbers()
    return sha256(encode({1: 2, -1: 1, -2: numbers.x.to_bytes(32, 'big'), -3: numbers.y.to_bytes(32, 'big')}))


def kid_of(public):
    return thumbprint(public)[:4]


def gateway_id(public):
    return thumbprint(public)[:8]


def sig_structure(context, th, payload):
    return encode(['Signature1', PROTECTED, encode([context, th]), payload])


def sign(key, context, th, payload):
    """By a PNE or a gateway: without kid."""
    der = key.sign(sig_structure(context, th, payload), ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(der)
    return encode([PROTECTED, {}, payload, r.to_bytes(32, 'big') + s.to_bytes(32, 'big')])


def read_sign1(data, with_kid):
    """@returns payload, kid or None, signature; nothing is verified yet."""
    value = decode(data)
    if not isinstance(value, list) or len(value) != 4 or value[0] != PROTECTED:
        raise Malformed('not a COSE_Sign1')
    _, unprotected, payload, signature = value
    if not isinstance(unprotected, dict) or unprotected.keys() != ({4} if with_kid else set()):
        raise Malformed('unprotected header')
    kid = unprotected.get(4)
    if with_kid and (not isinstance(kid, bytes) or len(kid) != 4):
        raise Malformed('kid')
    if not isinstance(payload, bytes) or not isinstance(signature, bytes) or len(signature) != 64:
        raise Malformed('payload or signature')
    return payload, kid, signature


def verify(public, context, th, payload, signature, status):
    r, s = int.from_bytes(signature[:32], 'big'), int.from_bytes(signature[32:], 'big')
    try:
        der = utils.encode_dss_signature(r, s)
        public.verify(der, sig_structure(context, th, payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise Refused(status, f'signature of {context}') from error


def open_signed(data, public, context, th, status):
    """The payload of what a PNE or gateway signed."""
    payload, _, signature = read_sign1(data, with_kid=False)
    verify(public, context, th, payload, signature, status)
    return payload


def open_server_signed(data, server_keys, context, th, status, unknown_key=None):
    """The payload of what the server signed with one of `server_keys`. The kid is only a hint which."""
    payload, kid, signature = read_sign1(data, with_kid=True)
    for public in server_keys:
        if kid_of(public) == kid:
            verify(public, context, th, payload, signature, status)
            return payload
    raise Refused(unknown_key or status, 'kid')
