#!/usr/bin/python3
"""A PNE on BlueZ: bluetoothd has the GATT server, this script the protocol.

  pne_on_bluez.py --adapter hci1 --state FOLDER --accept USER [--enrol]

Prints one JSON object a line: ready, code (with --enrol), enrolled, invited, member, … Ends on SIGTERM.
"""
import argparse
import json
import signal

import dbus.mainloop.glib
from gi.repository import GLib

from bluez import Peripheral
from canonical import encode
from pne import FRESH, Pne, PneLink
from store import Store

options = argparse.ArgumentParser()
options.add_argument('--adapter', required=True)
options.add_argument('--state', required=True)
options.add_argument('--accept', action='append', default=[])
options.add_argument('--pne-id', default='Snake')
options.add_argument('--enrol', action='store_true')
chosen = options.parse_args()


def say(**event):
    print(json.dumps(event), flush=True)


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
loop = GLib.MainLoop()
pne = Pne(Store(chosen.state, FRESH), chosen.pne_id, encode({'class': 'foreign'}), chosen.accept, say)
links = []


def on_link(wire):
    link = PneLink(pne, wire)
    links.append(link)

    def ended():
        link.lost()
        links.remove(link)

    return link.receive, ended


def tick():
    for link in links:
        link.tick()
    return True


if chosen.enrol:
    say(event='code', code=pne.show_code())
peripheral = Peripheral(dbus.SystemBus(), chosen.adapter, pne.advertisement, on_link)
GLib.timeout_add(200, tick)
GLib.timeout_add_seconds(900, lambda: peripheral.advertise() or True)
GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
say(event='ready')
loop.run()
