/**
 * An adapter, its profile and why, for people and for programs. Owns the shape that `cpns profile detect` prints and what
 * a daemon logs of its adapter.
 */
import type { Logger } from 'pino';
import type { ChosenProfile } from '../bluetooth/adapter-profile.ts';

/** Logs what a daemon found out about its adapter. @returns the profile's name */
export function sayAdapter(logger: Logger, adapter: ChosenProfile): string {
  const { profile, warnings } = adapter.settings;
  for (const warning of warnings) logger.warn({ profile }, warning);
  logger.info(adapterView(adapter), 'adapter');
  return profile;
}

export function adapterView({ identity, detection, settings }: ChosenProfile) {
  const { usb, hci } = identity;
  const hex = (number: number | null) =>
    number === null ? null : `0x${number.toString(16).padStart(4, '0')}`;
  return {
    profile: detection.profile.name,
    title: detection.profile.title,
    how: detection.how,
    because: detection.because,
    possible: detection.possible,
    warnings: settings.warnings,
    channel: settings.channel,
    identity: {
      ...identity,
      usb: usb && { vendor: hex(usb.vendor), product: hex(usb.product), bcdDevice: hex(usb.bcdDevice) },
      hci: hci && {
        ...{ version: hci.version, revision: hex(hci.revision), lmpVersion: hci.lmpVersion },
        ...{ manufacturer: hex(hci.manufacturer), lmpSubversion: hex(hci.lmpSubversion) },
      },
    },
  };
}
