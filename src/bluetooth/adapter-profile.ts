/**
 * The firmware profile of an adapter that is being opened: chosen from what the system knows before, and again from what
 * the controller says after; and what of it is told to the controller. Owns those commands. The rules are in src/profiles.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Detection, detectProfile, GENERIC, profileNamed } from '../profiles/detect.ts';
import type { AdapterIdentity } from '../profiles/identity.ts';
import { findProfile, shippedProfiles } from '../profiles/load.ts';
import { type RadioSettings, settingsOf } from '../profiles/settings.ts';
import { parseHciVersion } from './adapter-identity.ts';

export interface ChosenProfile {
  readonly identity: AdapterIdentity;
  readonly detection: Detection;
  readonly settings: RadioSettings;
}

/** What is asked of a controller here. */
interface Commands {
  command(opcode: number, parameters?: Buffer): Promise<Buffer>;
}

const RESET = 0x0c03;
const READ_LOCAL_VERSION = 0x1001;
const READ_BUFFER_SIZE = 0x1005;
const LE_READ_BUFFER_SIZE = 0x2002;
const LE_WRITE_SUGGESTED_DATA_LENGTH = 0x2024;
const LE_SET_DEFAULT_PHY = 0x2031;
const PHY_BITS = { '1M': 1, '2M': 2, coded: 4 } as const;
/** What a controller starts with. */
const SHORTEST_DATA = 27;
/** On the 1M PHY a byte takes 8 µs, and preamble, address, header, MIC and CRC are 14 bytes. */
const MICROSECONDS_PER_BYTE = 8;
const OVERHEAD_BYTES = 14;

/** @param named a profile's name or a file of one, from the configuration
 * @throws ProfileError */
export function chooseProfile(identity: AdapterIdentity, named?: string | undefined): ChosenProfile {
  const profiles = shippedProfiles();
  const configured = named === undefined ? undefined : findProfile(named);
  const detection = detectProfile(profiles, identity, configured);
  const settings = settingsOf(detection.profile, profileNamed(profiles, GENERIC), identity.kernel);
  return { identity, detection, settings };
}

/**
 * Brings a controller to where noble and bleno may begin, as its profile says.
 * @param exclusive nobody else drives it: it is reset, and told what the kernel would tell it
 * @returns the profile, now that the controller has said who it is
 */
export async function prepareController(
  controller: Commands,
  exclusive: boolean,
  before: ChosenProfile,
  named?: string | undefined,
): Promise<ChosenProfile> {
  if (exclusive) {
    await controller.command(RESET);
    // QUIRK(profile): wait-after-reset
    if (before.settings.waitAfterResetMs > 0) await delay(before.settings.waitAfterResetMs);
  }
  const answer = await controller.command(READ_LOCAL_VERSION).catch(() => Buffer.alloc(0));
  const hci = parseHciVersion(answer) ?? null;
  const chosen = chooseProfile({ ...before.identity, hci }, named);
  // QUIRK(profile): no-optional-commands
  if (exclusive && chosen.settings.optionalCommands) await sendOptionalCommands(controller, chosen.settings);
  return chosen;
}

/** X3: neither library sets these and no kernel does it for us. A controller without them refuses, which is no harm. */
async function sendOptionalCommands(
  controller: Commands,
  { dataLength, phys }: RadioSettings,
): Promise<void> {
  const tell = (opcode: number, parameters: Buffer) => controller.command(opcode, parameters).catch(() => {});
  if (dataLength > SHORTEST_DATA) {
    const parameters = Buffer.alloc(4);
    parameters.writeUInt16LE(dataLength, 0);
    parameters.writeUInt16LE((dataLength + OVERHEAD_BYTES) * MICROSECONDS_PER_BYTE, 2);
    await tell(LE_WRITE_SUGGESTED_DATA_LENGTH, parameters);
  }
  const bits = phys?.reduce((sum, phy) => sum | PHY_BITS[phy], 0) ?? PHY_BITS['1M'];
  if (bits !== PHY_BITS['1M']) await tell(LE_SET_DEFAULT_PHY, Buffer.from([0, bits, bits]));
}

/** Where in a Command Complete packet, type byte first, the number of ACL buffers is. */
const BUFFER_FIELDS: ReadonlyMap<number, { readonly count: number; readonly countBytes: 1 | 2 }> = new Map([
  [LE_READ_BUFFER_SIZE, { count: 9, countBytes: 1 }],
  [READ_BUFFER_SIZE, { count: 10, countBytes: 2 }],
]);
const STATUS_AT = 6;
const LENGTH_AT = 7;

/** Lowers in place what a controller states of its data buffers to what the profile allows. */
export function limitAclBuffers(opcode: number, packet: Buffer, limit: RadioSettings['aclBuffers']): void {
  const field = BUFFER_FIELDS.get(opcode);
  if (limit === undefined || field === undefined) return;
  const { count, countBytes } = field;
  if (packet.length < count + countBytes || packet[STATUS_AT] !== 0) return;
  packet.writeUInt16LE(Math.min(packet.readUInt16LE(LENGTH_AT), limit.bytes), LENGTH_AT);
  packet.writeUIntLE(Math.min(packet.readUIntLE(count, countBytes), limit.count), count, countBytes);
}
