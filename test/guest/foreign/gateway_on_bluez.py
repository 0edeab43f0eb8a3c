#!/usr/bin/python3
"""A gateway on BlueZ: bluetoothd has the GATT client, this script the protocol and the server's HTTPS side.

  gateway_on_bluez.py --adapter hci2 --state FOLDER --server https://host:port

Enrols with the one-time token in FOLDER/token, then invites PNEs that can be joined, one at a time. Prints one JSON object
a line: ready, enrolled, settled, member-in, … Ends on SIGTERM.
"""
import argparse
import json
import os
import queue
import signal

import dbus.mainloop.glib
from gi.repository import GLib

import server_api
from bluez import Central
from gateway import FRESH, Gateway, GatewayLink
from store import Store

JOIN, BACK_OFF_S = 2, 3

options = argparse.ArgumentParser()
options.add_argument('--adapter', required=True)
options.add_argument('--state', required=True)
options.add_argument('--server', required=True)
chosen = options.parse_args()


def say(**event):
    print(json.dumps(event), flush=True)


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
loop = GLib.MainLoop()
gateway = Gateway(Store(chosen.state, FRESH), say)
if gateway.enrolled is None:
    with open(os.path.join(chosen.state, 'token')) as file:
        gateway.take_enrolment(*server_api.enrol(chosen.server, file.read(), gateway.store.key))
enrolled = gateway.enrolled
certificates = [bytes.fromhex(one) for one in enrolled['certificates']]
server = server_api.Server(chosen.server, gateway.store.key, certificates, enrolled['ca'])
central = Central(dbus.SystemBus(), chosen.adapter)
link = None
busy = None  # the device that is being connected to


def on_frame(frame):
    """In the channel's thread: handed to the main one, and waited for, since only that writes the state."""
    answers = queue.Queue()

    def take():
        try:
            answers.put(gateway.on_frame(frame))
        except Exception as error:  # whatever is wrong with it, the channel ends (§9)
            answers.put(error)

    GLib.idle_add(take)
    answer = answers.get()
    if isinstance(answer, Exception):
        raise ConnectionError(str(answer))
    return answer


def on_link(wire):
    global link
    link = GatewayLink(gateway, wire, server.request)

    def ended():
        link.lost()
        again()

    return link.receive, ended


def again(why=None):
    global link
    if why:
        say(event='no-link', why=why)
    link = None
    # What was announced before says nothing about the time after.
    central.forget(busy)
    GLib.timeout_add_seconds(BACK_OFF_S, look)


def look():
    """Scans until a PNE that can be joined is seen, then connects to it."""
    global busy
    busy = None
    central.scan(True)
    return False


def tick():
    global busy
    if link:
        link.tick()
    elif busy is None:
        for device, data in central.seen():
            if data[0] >> 5 == 1 and data[0] & JOIN:
                busy = device
                central.scan(False)
                central.connect(device, on_link, again)
                break
    return True


server.channel(on_frame)
GLib.timeout_add(200, tick)
GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
look()
say(event='ready')
loop.run()
