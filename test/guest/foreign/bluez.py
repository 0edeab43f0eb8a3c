"""bluetoothd over D-Bus, as GATT server and as GATT client of the CPNS service (docs/protocol.md §2).

Owns the service's two characteristics and the life of a link; gives whoever uses it a Wire. Knows no message.
"""
import os
import socket
import sys
import time

import dbus
import dbus.service
from gi.repository import GLib

from kernel_sockets import Management

BLUEZ, ROOT = 'org.bluez', '/org/cpns'
PROPERTIES, OBJECTS = 'org.freedesktop.DBus.Properties', 'org.freedesktop.DBus.ObjectManager'
SERVICE, UP, DOWN = (f'c9a5000{n}-5b1e-4c0e-9d2a-7e1f0b64c950' for n in (1, 2, 3))
SERVICE_LE = bytes.fromhex(SERVICE.replace('-', ''))[::-1]
ADVERTISING_DATA = bytes.fromhex('020106 1107') + SERVICE_LE
MAX_SEGMENT = 512
NO_OPTIONS = dbus.Dictionary({}, signature='sv')


def interface(bus, path, name):
    return dbus.Interface(bus.get_object(BLUEZ, path), f'{BLUEZ}.{name}')


def power(bus, adapter, patience_s=20):
    """An adapter that bluetoothd has not met yet, or is busy with, is waited for. @returns its path and address"""
    path = f'/org/bluez/{adapter}'
    end_at = time.monotonic() + patience_s
    while True:
        try:
            properties = dbus.Interface(bus.get_object(BLUEZ, path), PROPERTIES)
            properties.Set(f'{BLUEZ}.Adapter1', 'Powered', dbus.Boolean(True))
            return path, str(properties.Get(f'{BLUEZ}.Adapter1', 'Address'))
        except dbus.DBusException as error:
            if time.monotonic() > end_at:
                raise
            print(f'{adapter}: {error}; again in a second', file=sys.stderr, flush=True)
            time.sleep(1)


class Wire:
    """Segments of one link, through descriptors that bluetoothd shares with us."""

    def __init__(self, outgoing, segment_bytes, close):
        self._outgoing, self.segment_bytes, self._close = outgoing, segment_bytes, close
        self._open = True

    def send(self, segment):
        if self._open:
            try:
                self._outgoing.send(segment)
            except OSError:
                pass  # the end of the link is told by the descriptor's hang-up

    def close(self):
        if self._open:
            self._open = False
            self._close()


def watch(sock, on_segment, on_end):
    """Calls back for each packet of a seqpacket socket, and once at its end."""
    def readable(_, condition):
        if condition & GLib.IO_IN:
            try:
                segment = sock.recv(MAX_SEGMENT + 64)
            except OSError:
                segment = b''
            if segment:
                on_segment(segment)
                return True
        on_end()
        sock.close()
        return False

    GLib.io_add_watch(sock.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP | GLib.IO_ERR, readable)


# ---- GATT server


class _Object(dbus.service.Object):
    def __init__(self, bus, path, properties):
        super().__init__(bus, path)
        self.path, self.properties = path, properties


class _Up(_Object):
    def __init__(self, bus, path, properties, on_write):
        super().__init__(bus, path, properties)
        self._on_write = on_write

    @dbus.service.method(f'{BLUEZ}.GattCharacteristic1', in_signature='aya{sv}')
    def WriteValue(self, value, options):
        self._on_write(bytes(value), options)


class _Down(_Object):
    def __init__(self, bus, path, properties, on_subscribe):
        super().__init__(bus, path, properties)
        self._on_subscribe = on_subscribe

    @dbus.service.method(f'{BLUEZ}.GattCharacteristic1', in_signature='a{sv}', out_signature='hq')
    def AcquireNotify(self, options):
        """A central subscribed: what we write to the descriptor is notified to it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mtu = int(options['mtu'])
        GLib.idle_add(self._on_subscribe, ours, mtu, str(options['device']))
        handed = dbus.types.UnixFd(theirs.fileno())  # a copy, which is closed once it is sent
        theirs.close()
        return handed, dbus.UInt16(mtu)


class _Application(dbus.service.Object):
    def __init__(self, bus, objects):
        super().__init__(bus, ROOT)
        self._objects = objects

    @dbus.service.method(OBJECTS, out_signature='a{oa{sa{sv}}}')
    def GetManagedObjects(self):
        return {one.path: one.properties for one in self._objects}


class Peripheral:
    """The service on an adapter, advertised while there is no link."""

    def __init__(self, bus, adapter, service_data, on_link):
        """@param service_data gives 13 fresh bytes @param on_link takes a Wire, gives (on_segment, on_end)"""
        self._bus, self._service_data, self._on_link = bus, service_data, on_link
        path, _ = power(bus, adapter)
        self._management = Management(int(adapter.removeprefix('hci')))
        service = f'{ROOT}/service'
        both = {'Service': dbus.ObjectPath(service)}
        name = f'{BLUEZ}.GattCharacteristic1'
        _Application(bus, [
            _Object(bus, service, {f'{BLUEZ}.GattService1': {'UUID': SERVICE, 'Primary': dbus.Boolean(True)}}),
            _Up(bus, f'{service}/up', {name: {**both, 'UUID': UP, 'Flags': ['write-without-response']}}, self._written),
            _Down(bus, f'{service}/down', {name: {
                **both, 'UUID': DOWN, 'Flags': ['notify'], 'NotifyAcquired': dbus.Boolean(False)}}, self._subscribed),
        ])
        self._on_segment = None
        interface(bus, path, 'GattManager1').RegisterApplication(
            dbus.ObjectPath(ROOT), NO_OPTIONS, reply_handler=self.advertise, error_handler=_fail)

    def advertise(self):
        """Anew, with a fresh salt; nothing while there is a link."""
        if self._on_segment is None:
            scan_response = b'\x1e\x21' + SERVICE_LE + self._service_data()
            self._management.advertise(ADVERTISING_DATA, scan_response)

    def _subscribed(self, sock, mtu, device):
        self._management.silence()
        wire = Wire(sock, mtu - 3, lambda: interface(self._bus, device, 'Device1').Disconnect(
            reply_handler=lambda: None, error_handler=lambda _: None))
        self._on_segment, on_end = self._on_link(wire)

        def ended():
            self._on_segment = None
            on_end()
            GLib.timeout_add(200, lambda: self.advertise())

        watch(sock, lambda _: None, ended)
        return False

    def _written(self, value, _options):
        if self._on_segment:
            self._on_segment(value)


def _fail(error):
    print(f'bluetoothd refuses: {error}', flush=True)
    os._exit(1)


# ---- GATT client


class Central:
    """Looks for PNEs with an adapter and opens links to them, one at a time."""

    def __init__(self, bus, adapter):
        self._bus = bus
        self._path, self.address = power(bus, adapter)
        self._adapter = interface(bus, self._path, 'Adapter1')
        self._objects = dbus.Interface(bus.get_object(BLUEZ, '/'), OBJECTS)
        self._adapter.SetDiscoveryFilter(
            {'Transport': 'le', 'UUIDs': dbus.Array([SERVICE], signature='s'), 'DuplicateData': dbus.Boolean(True)})

    def scan(self, on):
        try:
            self._adapter.StartDiscovery() if on else self._adapter.StopDiscovery()
        except dbus.DBusException:
            pass  # it does so already

    def seen(self):
        """Devices with CPNS service data: (path, the 13 bytes)."""
        for path, interfaces in self._objects.GetManagedObjects().items():
            device = interfaces.get(f'{BLUEZ}.Device1')
            data = device and device.get('ServiceData', {}).get(SERVICE)
            if data is not None and path.startswith(f'{self._path}/') and len(data) == 13:
                yield str(path), bytes(data)

    def connect(self, device, on_link, on_failure):
        """Connection, MTU and discovery are bluetoothd's; then the CCCD is written. @param on_link as of Peripheral"""
        def failed(error):
            self.disconnect(device)
            on_failure(str(error))

        def connected():
            self._when_resolved(device, lambda found: self._open(device, found, on_link, failed), failed)

        interface(self._bus, device, 'Device1').Connect(
            reply_handler=connected, error_handler=failed, timeout=60)

    def disconnect(self, device):
        interface(self._bus, device, 'Device1').Disconnect(
            reply_handler=lambda: None, error_handler=lambda _: None)

    def forget(self, device):
        """So that the next sighting of it is a new one."""
        try:
            self._adapter.RemoveDevice(device)
        except dbus.DBusException:
            pass

    def _when_resolved(self, device, then, failed, tries=150):
        properties = dbus.Interface(self._bus.get_object(BLUEZ, device), PROPERTIES)
        try:
            resolved = properties.Get(f'{BLUEZ}.Device1', 'ServicesResolved')
        except dbus.DBusException as error:
            return failed(error)
        if resolved:
            found = {
                str(interfaces[f'{BLUEZ}.GattCharacteristic1']['UUID']): path
                for path, interfaces in self._objects.GetManagedObjects().items()
                if path.startswith(f'{device}/') and f'{BLUEZ}.GattCharacteristic1' in interfaces}
            return then(found) if UP in found and DOWN in found else failed('no CPNS service')
        if not tries:
            return failed('services not resolved')
        GLib.timeout_add(200, lambda: self._when_resolved(device, then, failed, tries - 1) and False)

    def _open(self, device, found, on_link, failed):
        up = interface(self._bus, found[UP], 'GattCharacteristic1')
        down = interface(self._bus, found[DOWN], 'GattCharacteristic1')
        try:
            write_fd, mtu = up.AcquireWrite(NO_OPTIONS)
        except dbus.DBusException as error:
            return failed(error)
        writing = socket.socket(fileno=write_fd.take())

        def subscribed(notify_fd, _mtu):
            reading = socket.socket(fileno=notify_fd.take())
            wire = Wire(writing, int(mtu) - 3, lambda: self.disconnect(device))
            on_segment, on_end = on_link(wire)

            def ended():
                writing.close()
                on_end()

            watch(reading, on_segment, ended)

        down.AcquireNotify(NO_OPTIONS, reply_handler=subscribed, error_handler=failed)
