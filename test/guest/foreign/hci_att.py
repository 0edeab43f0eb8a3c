"""ATT over an HCI user channel of our own: no stack of the kernel's or of bluetoothd's between the questions and the air.
(The kernel's L2CAP sockets were used before: Linux 6.1.192 crashes in hci_chan_del when one is closed after its link.)

Owns HCI, ACL fragments and their credits, and finding the peer; knows ATT by its channel only.
"""
import ctypes
import os
import socket
import struct
import time

_libc = ctypes.CDLL(None, use_errno=True)
USER_CHANNEL, ATT_CHANNEL = 1, 4
COMMAND, ACL, EVENT = 1, 2, 4
DISCONNECTION_COMPLETE, COMMAND_COMPLETE, COMMAND_STATUS, COMPLETED_PACKETS, LE_META = 0x05, 0x0E, 0x0F, 0x13, 0x3E
CONNECTION_COMPLETE, ADVERTISING_REPORT = 1, 2
RESET, SET_EVENT_MASK, DISCONNECT, READ_BUFFERS = 0x0C03, 0x0C01, 0x0406, 0x2002
SCAN_PARAMETERS, SCAN_ENABLE, CREATE_CONNECTION, CANCEL_CONNECTION = 0x200B, 0x200C, 0x200D, 0x200E
ANSWER_S, LINK_S = 10, 10


class Closed(Exception):
    """The server ended the link."""


class Adapter:
    """`hciN`, which has to be down; all of it is ours."""

    def __init__(self, index):
        self._sock = socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI)
        address = struct.pack('<HHH', socket.AF_BLUETOOTH, index, USER_CHANNEL)
        if _libc.bind(self._sock.fileno(), address, len(address)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._handle, self._received, self._pdus, self._sightings = None, b'', [], []
        self._command(RESET)
        self._command(SET_EVENT_MASK, b'\xff' * 5 + b'\x1f\x00\x20')
        self._fragment, self._buffers = struct.unpack_from('<HB', self._command(READ_BUFFERS), 1)
        self._credits = self._buffers

    # ---- links

    def connect(self, uuid):
        """@param uuid of a service in the peer's advertising data, 16 bytes as on the air"""
        kind, address = self._find(uuid)
        self._received, self._pdus = b'', []
        self._command(CREATE_CONNECTION, struct.pack(
            '<HHBB6sBHHHHHH', 16, 16, 0, kind, address, 0, 6, 6, 0, 200, 0, 0))
        if not self._until(lambda: self._handle is not None, LINK_S):
            self._command(CANCEL_CONNECTION)
            raise OSError('the peer advertises and can not be connected to')

    def disconnect(self):
        if self._handle is not None:
            self._command(DISCONNECT, struct.pack('<HB', self._handle, 0x13))
            self._until(lambda: self._handle is None, ANSWER_S)

    def _find(self, uuid):
        self._sightings = []
        self._command(SCAN_PARAMETERS, struct.pack('<BHHBB', 0, 16, 16, 0, 0))
        self._command(SCAN_ENABLE, b'\1\0')
        found = lambda: next(((kind, peer) for kind, peer, data in self._sightings if uuid in data), None)
        self._until(found, LINK_S)
        self._command(SCAN_ENABLE, b'\0\0')
        if not found():
            raise OSError('the peer does not advertise')
        return found()

    # ---- PDUs

    def send(self, pdu):
        packet = struct.pack('<HH', len(pdu), ATT_CHANNEL) + pdu
        for at in range(0, len(packet), self._fragment):
            self._until(lambda: self._credits > 0 or self._handle is None, ANSWER_S)
            if self._handle is None:
                raise Closed
            self._credits -= 1
            part = packet[at:at + self._fragment]
            self._sock.send(struct.pack('<BHH', ACL, self._handle | (0x1000 if at else 0), len(part)) + part)

    def receive(self, seconds):
        """@returns the next PDU, or None when there is none in time"""
        self._until(lambda: self._pdus or self._handle is None, seconds)
        if self._pdus:
            return self._pdus.pop(0)
        if self._handle is None:
            raise Closed
        return None

    # ---- HCI

    def _command(self, opcode, parameters=b''):
        """@returns what the controller answers, from the status on"""
        self._answer = None
        self._sock.send(struct.pack('<BHB', COMMAND, opcode, len(parameters)) + parameters)
        if not self._until(lambda: self._answer and self._answer[0] == opcode, ANSWER_S):
            raise OSError(f'the controller does not answer {opcode:#x}')
        return self._answer[1]

    def _until(self, holds, seconds):
        end = time.monotonic() + seconds
        while not holds():
            self._sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                self._take(self._sock.recv(2048))
            except TimeoutError:
                return False
        return True

    def _take(self, packet):
        if packet[0] == ACL:
            self._take_data(packet)
        elif packet[1] == COMMAND_COMPLETE:
            self._answer = (struct.unpack_from('<H', packet, 4)[0], packet[6:])
        elif packet[1] == COMMAND_STATUS:
            self._answer = (struct.unpack_from('<H', packet, 5)[0], packet[3:4])
        elif packet[1] == COMPLETED_PACKETS:
            self._credits += sum(struct.unpack_from('<H', packet, 6 + 4 * n)[0] for n in range(packet[3]))
        elif packet[1] == DISCONNECTION_COMPLETE:
            self._handle, self._credits = None, self._buffers
        elif packet[1] == LE_META and packet[3] == CONNECTION_COMPLETE and packet[4] == 0:
            self._handle = struct.unpack_from('<H', packet, 5)[0]
        elif packet[1] == LE_META and packet[3] == ADVERTISING_REPORT:
            self._sightings.append((packet[6], packet[7:13], packet[14:-1]))

    def _take_data(self, packet):
        flags = struct.unpack_from('<H', packet, 1)[0]
        self._received = packet[5:] if not flags & 0x1000 else self._received + packet[5:]
        length, channel = struct.unpack_from('<HH', self._received)
        if len(self._received) == length + 4:
            if channel == ATT_CHANNEL:
                self._pdus.append(self._received[4:])
            self._received = b''
