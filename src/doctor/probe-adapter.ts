/**
 * Looks at one adapter: what it is plugged into, rfkill, what the kernel's management and the controller itself say. Takes
 * no adapter and changes no setting that anybody relies on; each question has a deadline.
 */
import { join } from 'node:path';
import { parseHciVersion, type SystemView, systemIdentity } from '../bluetooth/adapter-identity.ts';
import { chooseProfile } from '../bluetooth/adapter-profile.ts';
import { type Management, ManagementError } from '../bluetooth/hci/management.ts';
import { askAdapter, isAdapterUp, NoAnswerError } from '../bluetooth/hci/raw-question.ts';
import type { AdapterIdentity, HciVersion } from '../profiles/identity.ts';
import { type AdapterFacts, type Seen, seen, unseen } from './facts.ts';
import { codeOf, namesIn, textOf } from './files.ts';

const READ_LOCAL_VERSION = 0x1001;
const LE_READ_FEATURES = 0x2003;
const LE_SET_ADVERTISING_PARAMETERS = 0x2006;
const LE_SET_SCAN_PARAMETERS = 0x200b;
const OWN_ADDRESS_RANDOM = 1;
const SUPERVISION_UNIT_MS = 10;

/** Indices of the kernel's adapters, in order. */
export function adapterIndices(root = ''): readonly number[] {
  return namesIn(`${root}/sys/class/bluetooth`)
    .flatMap((name) => /^hci(\d{1,3})$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** What is known of an adapter without opening it, and the profile that follows. */
export function probePlace(
  index: number,
  named?: string,
  system: Partial<SystemView> = {},
): Pick<AdapterFacts, 'index' | 'identity' | 'profile' | 'rfkill'> {
  const identity = systemIdentity({ kind: 'hci', index, channel: undefined }, system);
  const folder = join(system.root ?? '/', 'sys/class/bluetooth', `hci${index}`);
  const switchOf = namesIn(folder).find((name) => name.startsWith('rfkill'));
  const isOn = (name: string): boolean => textOf(`${folder}/${switchOf}/${name}`) === '1';
  return {
    index,
    ...profiled(identity, named),
    rfkill: switchOf === undefined ? undefined : { soft: isOn('soft'), hard: isOn('hard') },
  };
}

function profiled(identity: AdapterIdentity, named: string | undefined) {
  const { detection, settings } = chooseProfile(identity, named);
  const { links, warnings, channel } = settings;
  const { name, title } = detection.profile;
  return { identity, profile: { name, title, links, channel: channel.use, why: channel.why, warnings } };
}

export interface AdapterQuestions {
  /** The process may send any command in raw mode. */
  readonly raw: boolean;
  /** The process may ask for what the kernel tells administrators only. */
  readonly admin: boolean;
  /** Whether setting scan parameters may be tried: who scans sets its own before each scan. */
  readonly tryScan: boolean;
  /** The same for advertising; never beside a PNE of ours. */
  readonly tryAdvertise: boolean;
  /** As the gateway scans, so that trying it changes nothing. */
  readonly randomAddress: boolean;
}

type Place = ReturnType<typeof probePlace>;

/** @param management undefined where the kernel's management can't be asked */
export async function probeAdapter(
  place: Place,
  named: string | undefined,
  management: Management | undefined,
  questions: AdapterQuestions,
): Promise<AdapterFacts> {
  const { index } = place;
  const up = isUp(index);
  const info = await infoOf(index, management);
  const taken = info.seen && info.value === 'hidden';
  const whyNot = taken
    ? 'the kernel lets nobody ask an adapter in a user channel'
    : up.seen && !up.value
      ? 'the adapter is down'
      : undefined;
  const ask = <T>(needs: boolean, question: () => Promise<T>): Promise<Seen<T>> => {
    if (whyNot !== undefined) return Promise.resolve(unseen(whyNot));
    if (!needs) return Promise.resolve(unseen('CAP_NET_RAW is needed to ask (run it with sudo)'));
    return look(question);
  };
  const version = await ask(true, () => versionOf(index));
  const answers = !(version.seen && version.value === 'silent');
  const raw = questions.raw && answers;
  const own = questions.randomAddress ? OWN_ADDRESS_RANDOM : 0;
  const hci = version.seen && version.value !== 'silent' ? version.value : null;
  return {
    ...place,
    ...profiled({ ...place.identity, hci }, named),
    up,
    info,
    version,
    leFeatures: await ask(raw, async () => (await askAdapter(index, LE_READ_FEATURES)).readBigUInt64LE(1)),
    scanAnswer: questions.tryScan
      ? await ask(raw, () => statusOf(index, LE_SET_SCAN_PARAMETERS, [1, 0x10, 0, 0x10, 0, own, 0]))
      : unseen('not tried while nothing depends on it'),
    advertiseAnswer: questions.tryAdvertise
      ? await ask(raw, () =>
          statusOf(index, LE_SET_ADVERTISING_PARAMETERS, [
            ...[0xa0, 0, 0xa0, 0, 0, own, 0],
            ...[0, 0, 0, 0, 0, 0, 7, 0],
          ]),
        )
      : unseen('not tried beside a PNE of this host'),
    supervisionTimeoutMs: await supervision(index, management, taken),
    connections: await connections(index, management, questions.admin, taken),
  };
}

function isUp(index: number): Seen<boolean> {
  try {
    return seen(isAdapterUp(index));
  } catch (error) {
    return unseen(`the adapter can't be asked (${codeOf(error)})`);
  }
}

async function infoOf(index: number, management: Management | undefined): Promise<AdapterFacts['info']> {
  if (management === undefined) return unseen("the kernel's Bluetooth management can't be asked");
  return look(async () =>
    (await management.indices()).includes(index) ? management.info(index) : ('hidden' as const),
  );
}

async function versionOf(index: number): Promise<HciVersion | 'silent'> {
  try {
    const version = parseHciVersion(await askAdapter(index, READ_LOCAL_VERSION));
    if (version === undefined) throw new NoAnswerError('malformed');
    return version;
  } catch (error) {
    if (error instanceof NoAnswerError && error.code === 'ETIMEDOUT') return 'silent';
    throw error;
  }
}

async function statusOf(index: number, opcode: number, parameters: readonly number[]): Promise<number> {
  return (await askAdapter(index, opcode, Buffer.from(parameters))).readUInt8(0);
}

/** From the kernel's management, or where that does not say from its debug files, which only root may read. */
async function supervision(
  index: number,
  management: Management | undefined,
  taken: boolean,
): Promise<Seen<number>> {
  if (management === undefined || taken) return unseen("the kernel's management does not list the adapter");
  const answer = await look(() => management.supervisionTimeoutMs(index));
  if (answer.seen && answer.value !== undefined) return seen(answer.value);
  const units = Number(textOf(`/sys/kernel/debug/bluetooth/hci${index}/supervision_timeout`));
  if (units > 0) return seen(units * SUPERVISION_UNIT_MS);
  return answer.seen ? unseen('this kernel says it to root only (run it with sudo)') : answer;
}

async function connections(
  index: number,
  management: Management | undefined,
  admin: boolean,
  taken: boolean,
): Promise<AdapterFacts['connections']> {
  if (management === undefined || taken) return unseen("the kernel's management does not list the adapter");
  if (!admin) return unseen('CAP_NET_ADMIN is needed to ask (run it with sudo)');
  return look(() => management.connections(index));
}

async function look<T>(question: () => Promise<T>): Promise<Seen<T>> {
  try {
    return seen(await question());
  } catch (error) {
    const code =
      error instanceof ManagementError || error instanceof NoAnswerError ? error.code : codeOf(error);
    return unseen(`no answer (${code})`);
  }
}
