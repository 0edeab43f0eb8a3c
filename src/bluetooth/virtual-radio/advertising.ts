/**
 * Advertising events on the virtual air: who hears them, scan responses, and the connections that initiators make of
 * them. Reports are lossy as on air: a host that does not read misses them.
 */
import { advertisingReport } from './events.ts';
import { RadioLink } from './link.ts';
import type { ControllerPart } from './shapes.ts';

const TYPE_CONNECTABLE = 0x00;
const TYPE_SCANNABLE = 0x02;
const REPORT_SCAN_RESPONSE = 0x04;
const RSSI_DBM = -50;
/** Advertisers one scanner remembers for its duplicate filter; controllers forget too. */
const MAX_SEEN = 256;

export function startAdvertising(controller: ControllerPart): void {
  stopAdvertising(controller);
  controller.advertising.enabled = true;
  // The first event after the Command Complete, the rest on the clock.
  controller.advertising.timer = setTimeout(() => advertise(controller), 0);
}

export function stopAdvertising(controller: ControllerPart): void {
  clearTimeout(controller.advertising.timer);
  controller.advertising.timer = undefined;
  controller.advertising.enabled = false;
}

function advertise(advertiser: ControllerPart): void {
  const { radio, advertising } = advertiser;
  if (!advertising.enabled) return;
  radio.adverts++;
  for (const listener of radio.controllers) {
    if (listener === advertiser || radio.dice.losesAdvert()) continue;
    if (listener.scanning.enabled && !listener.deaf && !listener.hostBlocked) report(advertiser, listener);
    if (advertising.type === TYPE_CONNECTABLE && initiates(listener, advertiser)) {
      connect(listener, advertiser);
      return;
    }
  }
  advertising.timer = setTimeout(() => advertise(advertiser), radio.options.advertisingIntervalMs);
}

function report(advertiser: ControllerPart, scanner: ControllerPart): void {
  const { type, ownAddressType, data, scanResponse } = advertiser.advertising;
  const address = advertiser.ownAddress(ownAddressType);
  const { scanning } = scanner;
  if (scanning.filterDuplicates) {
    const key = Buffer.concat([address, data]).toString('latin1');
    if (scanning.seen.has(key)) return;
    if (scanning.seen.size >= MAX_SEEN) scanning.seen.clear();
    scanning.seen.add(key);
  }
  scanner.toHost(advertisingReport(type, ownAddressType & 1, address, data, RSSI_DBM));
  if (scanning.active && (type === TYPE_CONNECTABLE || type === TYPE_SCANNABLE)) {
    scanner.toHost(
      advertisingReport(REPORT_SCAN_RESPONSE, ownAddressType & 1, address, scanResponse, RSSI_DBM),
    );
  }
}

function initiates(initiator: ControllerPart, advertiser: ControllerPart): boolean {
  const wanted = initiator.initiating;
  if (wanted === undefined) return false;
  const own = advertiser.advertising.ownAddressType;
  return (wanted.peerAddressType & 1) === (own & 1) && wanted.peerAddress.equals(advertiser.ownAddress(own));
}

function connect(initiator: ControllerPart, advertiser: ControllerPart): void {
  const parameters = initiator.initiating;
  if (parameters === undefined) return;
  stopAdvertising(advertiser);
  const link = new RadioLink(initiator.radio, initiator, advertiser, parameters);
  initiator.initiating = undefined;
  initiator.radio.linkMade(link);
}
