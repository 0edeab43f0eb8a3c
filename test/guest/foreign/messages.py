"""The bodies of the messages that a PNE or an initiating gateway reads: docs/protocol.md §4.4, §6, §7.2, §8.

Each reader takes bytes and gives values, or raises Malformed, or Refused with the status of §13. Owns shapes and
signatures; whether a message may come now, and what to do about it, is the party's.
"""
from collections import namedtuple

from canonical import Malformed, array, bstr, decode, decode_padded, fields, label, parse, tstr, uint
from cose import Refused, gateway_id, kid_of, open_server_signed, open_signed, read_cose_key, read_sign1, verify
from keys import OPEN, chain

# Type bytes (§6.1).
SETUP_REQUEST, SETUP_RESPONSE, CHALLENGE, RESPONSE, NOTIFY, ACK, UPDATE = 1, 2, 5, 6, 13, 14, 15
ENROL_OFFER, ENROL_CLAIM, ENROL_RECEIPT, ENROL_ACK, ENROL_COMPARISON = 20, 21, 22, 23, 24
RESUME, RESUMED, FRESHNESS_STATEMENT, SERVER_KEYS, ABORT, WAITING, REJECT, DATA = 30, 31, 32, 33, 40, 41, 42, 64

# Statuses (§11) that these parties say.
DECLINED, TOO_MANY, BUSY = 16, 17, 18
UNEXPECTED, UNKNOWN_SESSION = 36, 39
UNKNOWN_KEY, EXPIRED, CREDENTIAL_INVALID, SETUP_INVALID, CHALLENGE_INVALID = 48, 49, 50, 51, 52
RESPONSE_INVALID, INVENTORY_INVALID, OUTCOME_INVALID, CODE_WRONG, CODE_SPENT, RECEIPT_INVALID = 53, 56, 57, 58, 59, 60

_key = read_cose_key
CONTENTS = array(1, 16, fields({1: label(32), 2: label(24)}))
STATUS = fields({1: uint(0, 127)})
FAILURE = fields({1: uint(1, 127)})
SETUP_JOIN = fields(
    {1: uint(0, 0), 2: bstr(0, 512), 5: tstr(64), 6: bstr(32)}, {3: CONTENTS, 4: label(32)})
INVENTORY = fields({
    1: bstr(8), 2: uint(1), 3: uint(0), 4: bstr(8), 5: label(32),
    6: array(1, 32, fields({1: uint(1, 65535), 2: bstr(16), 3: bstr(0, 512)}, {4: CONTENTS, 5: label(32)})),
})
OUTCOME = fields({1: uint(0, 127), 2: uint(0)})
FRESHNESS = fields({1: uint(0, 127), 2: uint(0), 3: uint(0), 4: bstr(16)})
RESUME_BODY = fields({1: bstr(8), 2: uint(0)}, {3: uint(0)})
OFFER = fields({1: _key, 2: _key, 3: array(1, 4, _key), 4: tstr(64), 5: label(24), 6: bstr(16), 7: bstr(1, 400)})
COMPARISON = fields({1: bstr(16)})
RECEIPT = fields({1: bstr(32), 2: bstr(8), 3: label(24), 4: uint(1), 5: uint(0)})
CREDENTIAL = fields({4: uint(0), 7: bstr(8), 8: fields({1: _key}), -65537: array(3, 3, lambda _: None)})
SETUP_PAYLOAD = fields({1: bstr(8), 2: uint(1, 2), 3: label(32), 4: bstr(1, 400)})
CHALLENGE_PAYLOAD = fields({1: bstr(16), 2: uint(0)})
KEY_SET = fields({1: array(1, 4, _key), 2: uint(0)})

Credential = namedtuple('Credential', 'key gateway_id expires user gateway')


def read_credential(data, server_keys, now):
    """Of a gateway, in the order of §13: kid, expiry, signature. @param now None for a new PNE, which has no time"""
    payload, kid, signature = read_sign1(data, with_kid=True)
    value = parse(payload, CREDENTIAL)
    role, user, gateway = value[-65537]
    uint(2, 2)(role), label(24)(user), label(24)(gateway)
    signer = next((key for key in server_keys if kid_of(key) == kid), None)
    if signer is None:
        raise Refused(UNKNOWN_KEY)
    if now is not None and value[4] < now:
        raise Refused(EXPIRED)
    verify(signer, 'cpns1/gateway-credential', b'', payload, signature, CREDENTIAL_INVALID)
    key = read_cose_key(value[8][1])
    if gateway_id(key) != value[7]:
        raise Refused(CREDENTIAL_INVALID, 'gatewayId')
    return Credential(key, value[7], value[4], user, gateway)


def read_setup_request(m1, th1, server_keys, now):
    """Step 1. @returns payload and credential"""
    payload, _, signature = read_sign1(m1, with_kid=False)
    value = parse(payload, SETUP_PAYLOAD)
    credential = read_credential(value[4], server_keys, now)
    verify(credential.key, 'cpns1/setup-request', th1, payload, signature, SETUP_INVALID)
    return value, credential


def read_setup_response(padded):
    """Step 2, with its padding. @returns m2 without it, and its values"""
    m2, value = decode_padded(padded)
    if isinstance(value, dict) and value.keys() == {1} and value[1] != 0:
        fields({1: uint(16, 51)})(value)
    else:
        SETUP_JOIN(value)
    return m2, value


def pad_step2(body):
    """Zero bytes, so that the record (type byte and tag are 17 more) has 243 bytes or 241 + 243·k (§6.3)."""
    size = 243
    k = 0
    while size < len(body) + 17:
        k += 1
        size = 241 + 243 * k
    return body + bytes(size - 17 - len(body))


def read_challenge(data, server_keys, th2):
    """Step 5. @returns its payload bytes and the server's time"""
    payload = open_server_signed(data, server_keys, 'cpns1/challenge', th2, CHALLENGE_INVALID)
    return payload, parse(payload, CHALLENGE_PAYLOAD)[2]


def read_notify(data):
    """Steps 13 and 15. @returns (0, inventory bytes) or (status, outcome bytes)"""
    value = decode(data)
    if not isinstance(value, dict) or 1 not in value:
        raise Malformed('not a notify')
    if value[1] == 0 and not isinstance(value[1], bool):
        fields({1: uint(0, 0), 2: bstr(1, 7168)})(value)
        return 0, value[2]
    fields({1: uint(1, 127), 3: bstr(1, 256)})(value)
    return value[1], value[3]


def read_inventory(data, server_keys):
    value = parse(open_server_signed(data, server_keys, 'cpns1/inventory', b'', INVENTORY_INVALID), INVENTORY)
    handles = [member[1] for member in value[6]]
    if handles != sorted(set(handles)):
        raise Malformed('handles not ascending')
    return value


def read_outcome(data, server_keys, th3):
    return parse(open_server_signed(data, server_keys, 'cpns1/outcome', th3, OUTCOME_INVALID), OUTCOME)[1]


def read_offer(e1, th1):
    """E1: signed by the key that it carries. @returns its payload"""
    payload, _, _ = read_sign1(e1, with_kid=False)
    value = parse(payload, OFFER)
    open_signed(e1, read_cose_key(value[1]), 'cpns1/enrol-offer', th1, CODE_WRONG)
    credential = read_credential(value[7], [read_cose_key(key) for key in value[3]], None)
    if credential.gateway_id != gateway_id(read_cose_key(value[1])):
        raise Refused(CREDENTIAL_INVALID, 'not this gateway')
    return value


def read_receipt(e3, server_keys, th1, e1, e2):
    payload = open_server_signed(e3, server_keys, 'cpns1/enrol-receipt', chain(th1, e1, e2), RECEIPT_INVALID)
    return parse(payload, RECEIPT)


def read_server_keys(data, root):
    """Type 33. @returns keys as they are carried, issuedAt"""
    value = parse(open_signed(data, root, 'cpns1/server-keys', b'', CREDENTIAL_INVALID), KEY_SET)
    return value[1], value[2]


# For the vectors of what to refuse: a reader by the message's name.
READERS = {
    'Ack': lambda data: parse(data, STATUS),
    'EnrolAck': lambda data: parse(data, STATUS),
    'Abort': lambda data: parse(data, FAILURE),
    'Reject': lambda data: parse(data, FAILURE),
    'Waiting': lambda data: parse(data, fields({1: uint(100, 101)})),
    'Open': lambda data: parse(data, OPEN),
    'PnSetupResponse': lambda data: parse(data, SETUP_JOIN),
    'PnSetupNotify': read_notify,
    'Resume': lambda data: parse(data, RESUME_BODY),
    'Inventory': lambda data: parse(data, INVENTORY),
    'Freshness': lambda data: parse(data, FRESHNESS),
}
