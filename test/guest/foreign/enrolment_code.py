"""What people carry: the enrolment code of a PNE (docs/protocol.md §7.1) and a gateway's token (§7.3)."""
import base64
from collections import namedtuple

from canonical import Malformed
from cose import sha256, thumbprint

Code = namedtuple('Code', 'shown_by thumbprint_start secret')
Token = namedtuple('Token', 'ca_thumbprint_start id secret')
SHOWN_BY_PNE = 0x11


def _base32(data):
    return base64.b32encode(data).decode().rstrip('=')


def _unbase32(text, length):
    text = text.replace(' ', '').replace('-', '').upper()
    try:
        data = base64.b32decode(text + '=' * (-len(text) % 8))
    except ValueError as error:
        raise Malformed('not base32') from error
    if len(data) != length or sha256(data[:-2])[:2] != data[-2:]:
        raise Malformed('mistyped')
    return data


def write(public, secret):
    data = bytes([SHOWN_BY_PNE]) + thumbprint(public)[:16] + secret
    return _base32(data + sha256(data)[:2])


def read(text):
    data = _unbase32(text.upper().removeprefix('CPNS:'), 31)
    return Code(data[0], data[1:17], data[17:29])


def read_token(text):
    data = _unbase32(text.strip().upper().removeprefix('CPNSGW:'), 42)
    return Token(data[:16], data[16:24], data[24:40])
