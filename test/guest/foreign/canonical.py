"""Deterministic CBOR as docs/protocol.md §4.1 has it, and the shapes of messages.

Owns the refusal of everything that is not the one encoding of its value. Knows no message.
"""
import io
import unicodedata

import cbor2


class Malformed(Exception):
    """The peer's bytes are not what the document says they must be."""


def encode(value):
    return cbor2.dumps(value, canonical=True)


def decode(data):
    """The one item in `data`. Encoding it again must give the same bytes: that refuses indefinite lengths, long forms,
    unsorted and duplicate keys and trailing bytes at once."""
    try:
        value = cbor2.loads(data)
        _plain(value, 1)
        if encode(value) != bytes(data):
            raise Malformed('not deterministic')
    except Malformed:
        raise
    except Exception as error:  # what cbor2 raises for hostile bytes is of many kinds
        raise Malformed(str(error)) from error
    return value


def decode_padded(data):
    """The first item, and nothing but zero bytes behind it (step 2, §6.3)."""
    stream = io.BytesIO(data)
    try:
        cbor2.CBORDecoder(stream).decode()
    except Exception as error:
        raise Malformed(str(error)) from error
    item, padding = data[:stream.tell()], data[stream.tell():]
    if any(padding):
        raise Malformed('padding')
    return item, decode(item)


def _plain(value, depth):
    if depth > 8:
        raise Malformed('nested too deeply')
    if isinstance(value, bool) or isinstance(value, bytes):
        return
    if isinstance(value, int):
        if not -2**64 <= value < 2**64:
            raise Malformed('a big number')
    elif isinstance(value, str):
        if value.startswith('\ufeff'):
            raise Malformed('byte order mark')
    elif isinstance(value, list):
        for item in value:
            _plain(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _plain(key, depth + 1)
            _plain(item, depth + 1)
    else:
        raise Malformed(f'a {type(value).__name__}')


# Shapes: each is a function that raises Malformed for a value that does not fit.

def uint(low, high=2**32 - 1):
    def check(value):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Malformed(f'not a number of {low} to {high}')
    return check


def bstr(low, high=None):
    def check(value):
        if not isinstance(value, bytes) or not low <= len(value) <= (low if high is None else high):
            raise Malformed(f'not {low} to {high or low} bytes')
    return check


def tstr(high):
    def check(value):
        if not isinstance(value, str) or len(value.encode()) > high:
            raise Malformed(f'not a text of {high} bytes')
    return check


def label(high):
    """A text that people see (§4.1)."""
    def check(value):
        if not isinstance(value, str) or not 1 <= len(value.encode()) <= high:
            raise Malformed(f'not a label of {high} bytes')
        unfit = any(unicodedata.category(c) in ('Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp') for c in value)
        if unfit or value != unicodedata.normalize('NFC', value) or value != value.strip():
            raise Malformed('a label with characters that it may not have')
    return check


def array(low, high, item):
    def check(value):
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise Malformed(f'not a list of {low} to {high}')
        for one in value:
            item(one)
    return check


def fields(required, optional=None):
    """A map with exactly these keys, each of its shape."""
    optional = optional or {}

    def check(value):
        if not isinstance(value, dict):
            raise Malformed('not a map')
        missing = required.keys() - value.keys()
        unknown = value.keys() - required.keys() - optional.keys()
        if missing or unknown:
            raise Malformed(f'keys missing {sorted(missing)}, unknown {sorted(unknown, key=str)}')
        for key, one in value.items():
            (required.get(key) or optional[key])(one)
    return check


def parse(data, shape):
    value = decode(data)
    shape(value)
    return value
