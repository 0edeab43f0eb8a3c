#!/usr/bin/python3
"""Asks a GATT server everything that ATT has, right and wrong, and holds its answers against the Core Specification
(Vol 3 Part F §3.4, Part G §3.3): python3 poke.py ADAPTER.

The adapter is down and nobody's: this speaks ATT itself (hci_att.py), to whoever advertises the service. Prints what does
not hold, and last one line of figures; exit status 1 when something did not hold. Owns the questions only.
"""
import struct
import sys
import time

from hci_att import Adapter, Closed

ERROR, CONTROL = 0x01, bytes.fromhex('0a0100')  # a read of the first declaration is always answered
INVALID_HANDLE, READ_NOT_PERMITTED, WRITE_NOT_PERMITTED, INVALID_PDU = 1, 2, 3, 4
NOT_SUPPORTED, INVALID_OFFSET, NOT_FOUND, NOT_LONG, INVALID_LENGTH = 6, 7, 0x0A, 0x0B, 0x0D
UNLIKELY, UNSUPPORTED_GROUP, VALUE_NOT_ALLOWED, IMPROPERLY_CONFIGURED = 0x0E, 0x10, 0x13, 0xFD
SERVICE, UP, DOWN = (bytes.fromhex(f'c9a5000{n}5b1e4c0e9d2a7e1f0b64c950')[::-1] for n in (1, 2, 3))
CCCD = bytes.fromhex('0229')
LONGEST = 509  # with opcode and handle 512, twice what the server ever agrees to: whoever sends more loses the link

faults, asked, links = [], 0, 0


class Peer:
    """The server, connected again whenever it has closed: it gives a client that does not subscribe little time."""

    def __init__(self, index):
        self._adapter, self._linked = Adapter(index), False

    def open(self):
        global links
        if not self._linked:
            self._adapter.connect(SERVICE)
            self._linked = True
            links += 1

    def close(self):
        self._linked = False
        self._adapter.disconnect()

    def send(self, pdu):
        self.open()
        try:
            self._adapter.send(pdu)
        except Closed:
            self._linked = False
            raise

    def receive(self):
        """@returns None when there is nothing for 5 s"""
        try:
            return self._adapter.receive(5)
        except Closed:
            self._linked = False
            raise

    def ask(self, pdu):
        """@returns the answer; asked once more on a new link when the server's patience ended just then"""
        global asked
        asked += 1
        for last in (False, True):
            try:
                self.send(pdu)
                return self.receive()
            except Closed:
                if last:
                    raise
        return None


def shown(pdu):
    return 'nothing' if pdu is None else pdu[:8].hex()


def check(what, pdu, *allowed):
    """The answer to `pdu` is one of `allowed`: opcodes of responses, or ('error', code)."""
    try:
        answer = peer.ask(pdu)
    except Closed:
        return faults.append(f'{what}: the link was closed')
    for one in allowed:
        if isinstance(one, tuple):
            if answer and answer[0] == ERROR and answer[1] == pdu[0] and answer[4] == one[1]:
                return None
        elif answer and answer[0] == one:
            return None
    return faults.append(f'{what}: {pdu[:8].hex()} was answered {shown(answer)}')


def silent(what, pdu):
    """`pdu` is not answered: the next answer is that of another question."""
    global asked
    asked += 1
    for last in (False, True):
        try:
            peer.send(pdu)
            peer.send(CONTROL)
            answer = peer.receive()
            if answer is None or answer[0] != 0x0B:
                faults.append(f'{what}: {pdu[:8].hex()} was answered {shown(answer)}')
            return
        except Closed:
            if last:
                faults.append(f'{what}: the link was closed')


def ends(what, pdu):
    """`pdu` ends the link, and the server takes the next one."""
    global asked
    asked += 1
    peer.close()
    try:
        peer.send(pdu)
        faults.append(f'{what} was answered {shown(peer.receive())}')
    except Closed:
        check(f'the server after {what}', CONTROL, 0x0B)


def error(code):
    return ('error', code)


def pdu(opcode, form='', *values, data=b''):
    return struct.pack(f'<B{form}', opcode, *values) + data


def discover():
    """Handles with their types, as the server tells them."""
    found, start = [], 1
    while True:
        answer = peer.ask(pdu(4, 'HH', start, 0xFFFF))
        if answer is None or answer[0] != 5:
            return found
        size = 4 if answer[1] == 1 else 18
        for at in range(2, len(answer), size):
            handle, = struct.unpack_from('<H', answer, at)
            found.append((handle, answer[at + 2:at + size]))
        start = found[-1][0] + 1


def reads(table, up, down, cccd):
    for handle, kind in table:
        readable = handle not in (up, down)
        expected = (0x0B, error(READ_NOT_PERMITTED)) if readable else (error(READ_NOT_PERMITTED),)
        check(f'read of {handle}', pdu(0x0A, 'H', handle), *expected)
        for offset in (0, 1, 512, 65535):
            late = (error(INVALID_OFFSET), error(NOT_LONG)) if offset else (0x0D,)
            late += (0x0D,) if offset == 1 else ()
            check(f'read of {handle} at {offset}', pdu(0x0C, 'HH', handle, offset),
                  *(late if readable else ()), error(READ_NOT_PERMITTED))
    for handle in (0, table[-1][0] + 1, 0xFFFF):
        check(f'read of {handle}', pdu(0x0A, 'H', handle), error(INVALID_HANDLE))
    for kind in (UP, DOWN):
        check('read by type of a value', pdu(8, 'HH', 1, 0xFFFF, data=kind),
              error(READ_NOT_PERMITTED), error(NOT_FOUND), error(UNLIKELY))
    check('read of many', pdu(0x0E, 'HH', up, down), error(NOT_SUPPORTED), error(READ_NOT_PERMITTED))
    for opcode, size in ((4, b''), (8, CCCD), (0x10, bytes.fromhex('0028')), (6, bytes.fromhex('0028 00'))):
        for first, last in ((0, 0xFFFF), (5, 2), (0xFFFF, 1)):
            check('a range that is none', pdu(opcode, 'HH', first, last, data=size), error(INVALID_HANDLE))
    check('groups of another kind', pdu(0x10, 'HH', 1, 0xFFFF, data=CCCD), error(UNSUPPORTED_GROUP), error(NOT_FOUND))


def many(what, handle, lengths, expected):
    """Write requests of each length, sixteen under way at a time."""
    global asked
    for at in range(0, len(lengths), 16):
        batch = lengths[at:at + 16]
        for last in (False, True):
            try:
                for length in batch:
                    peer.send(pdu(0x12, 'H', handle, data=bytes(length)))
                answers = [peer.receive() for _ in batch]
                break
            except Closed:
                if last:
                    return faults.append(f'{what}: the link was closed at {batch[0]} to {batch[-1]} bytes')
        asked += len(batch)
        for length, answer in zip(batch, answers):
            if answer is None or answer[0] != ERROR or answer[4] not in expected:
                faults.append(f'{what} of {length} bytes was answered {shown(answer)}')
    return None


def writes(table, up, down, cccd):
    lengths = list(range(LONGEST + 1))
    for length in (LONGEST + 1, 600, 2000):
        ends(f'a write of {length} bytes', pdu(0x12, 'H', up, data=bytes(length)))
    many('a write request to what takes commands only', up, lengths, [WRITE_NOT_PERMITTED])
    many('a write request to what only notifies', down, lengths, [WRITE_NOT_PERMITTED])
    many('a configuration', cccd, [n for n in lengths if n != 2], [INVALID_LENGTH])
    for handle, kind in table:
        if handle not in (up, down) and kind != CCCD:
            check(f'write to {handle}', pdu(0x12, 'H', handle, data=b'x'), error(WRITE_NOT_PERMITTED))
        for offset in (0, 1, 65535):
            check(f'long write to {handle}', pdu(0x16, 'HH', handle, offset, data=bytes(10)),
                  error(WRITE_NOT_PERMITTED), error(NOT_LONG), error(NOT_SUPPORTED))
        if handle != up:
            for length in (0, 2, 20, LONGEST):
                silent(f'write command to {handle}', pdu(0x52, 'H', handle, data=b'\xfe' * length))
    for flag in (0, 1, 2, 255):
        check('execution of nothing', pdu(0x18, 'B', flag),
              0x19, error(NOT_SUPPORTED), error(UNLIKELY), error(INVALID_PDU))
    for value in (2, 3, 4, 0xFF00, 0xFFFE, 0xFFFF):
        check(f'configuration {value}', pdu(0x12, 'HH', cccd, value), error(VALUE_NOT_ALLOWED),
              error(IMPROPERLY_CONFIGURED))
    check('write to nobody', pdu(0x12, 'H', 0xFFFF, data=b'x'), error(INVALID_HANDLE))


def forms():
    """Requests cut short, requests that do not exist, and what no client sends."""
    shortest = {2: 3, 4: 5, 6: 7, 8: 7, 0x0A: 3, 0x0C: 5, 0x10: 7, 0x12: 3, 0x16: 5, 0x18: 2}
    for opcode, length in shortest.items():
        for shorter in range(1, length):
            check(f'opcode {opcode:#x} of {shorter} bytes', bytes([opcode]) + bytes(shorter - 1), error(INVALID_PDU))
    for opcode in (0x14, 0x1A, 0x22, 0x30, 0x3E):
        check(f'opcode {opcode:#x}', bytes([opcode, 0, 0]), error(NOT_SUPPORTED))
    for opcode in (0x01, 0x03, 0x05, 0x0B, 0x13, 0x19, 0x1B, 0x1D, 0x1E, 0x52, 0x62, 0x7E, 0xD2):
        silent(f'opcode {opcode:#x}', bytes([opcode, 0, 0]))


def values(up, cccd):
    """Segments that are none, subscribed and not, at several MTUs: the link may end, the server may not."""
    for mtu in (0, 22, 23, 24, 100, 247, LONGEST):
        check(f'MTU {mtu}', pdu(2, 'H', mtu), 0x03)
        for length in (0, 1, 20, 243, 244, 245, LONGEST):
            try:
                peer.ask(pdu(0x12, 'HH', cccd, length % 2))
                peer.send(pdu(0x52, 'H', up, data=bytes([0xC0] * length)))
                peer.send(CONTROL)
                while peer.receive()[0] == 0x1B:
                    pass
            except (Closed, TypeError):
                break
        peer.close()


peer = Peer(int(sys.argv[1].removeprefix('hci')))
table = discover()
up, down = (next(handle for handle, kind in table if kind == uuid) for uuid in (UP, DOWN))
cccd = next(handle for handle, kind in table if handle > down and kind == CCCD)
started = time.monotonic()
for part in (lambda: reads(table, up, down, cccd), lambda: writes(table, up, down, cccd), forms, lambda: values(up, cccd)):
    part()
    print(f'{time.monotonic() - started:.0f} s: {asked} questions on {links} links', file=sys.stderr, flush=True)
peer.close()
print('\n'.join(faults))
print(f'{asked} questions to {len(table)} attributes on {links} links, {len(faults)} answers that do not hold')
sys.exit(1 if faults else 0)
