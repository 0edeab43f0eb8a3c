"""A Bluetooth socket that Python's socket module cannot address: the kernel's management channel."""
import ctypes
import os
import socket
import struct

_libc = ctypes.CDLL(None, use_errno=True)
HCI_CHANNEL_CONTROL, NO_DEVICE = 3, 0xFFFF
ADD_ADVERTISING, REMOVE_ADVERTISING, COMMAND_COMPLETE, COMMAND_STATUS = 0x3E, 0x3F, 1, 2
CONNECTABLE = 1


def _call(function, sock, address):
    if function(sock.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Management:
    """The kernel's management interface, for the one thing bluetoothd 5.66 has no API for: service data in the scan
    response. (Its LEAdvertisingManager1 puts UUIDs and service data into one PDU of 31 bytes, and §2.2 needs 52.)"""

    def __init__(self, index):
        self._index = index

    def _command(self, opcode, parameters):
        """@returns its status. A socket for each: one that stays open fills with events that nobody reads."""
        with socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI) as sock:
            _call(_libc.bind, sock, struct.pack('<HHH', socket.AF_BLUETOOTH, NO_DEVICE, HCI_CHANNEL_CONTROL))
            sock.settimeout(5)
            sock.send(struct.pack('<HHH', opcode, self._index, len(parameters)) + parameters)
            while True:
                event, _, _, of, status = struct.unpack('<HHHHB', sock.recv(1024)[:9].ljust(9, b'\0'))
                if event in (COMMAND_COMPLETE, COMMAND_STATUS) and of == opcode:
                    return status

    def advertise(self, data, scan_response):
        """Connectable undirected advertising, until a link comes or it is told to stop."""
        self.silence()
        head = struct.pack('<BIHHBB', 1, CONNECTABLE, 0, 0, len(data), len(scan_response))
        status = self._command(ADD_ADVERTISING, head + data + scan_response)
        if status:
            raise OSError(f'the kernel refuses to advertise: management status {status}')

    def silence(self):
        self._command(REMOVE_ADVERTISING, b'\1')

