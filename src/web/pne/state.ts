/**
 * What the page shows, as one value. Types only, and how a view of the kept records is made; who changes it is
 * controller.ts, how it looks is views/.
 */
import { equal, toHex } from '../../base/bytes.ts';
import { GATEWAY_ID_BYTES, JOIN_ID_BYTES } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { JoinQuestion, KnownJoin } from '../../establishment/pne-types.ts';
import { InventoryPayload } from '../../messages/inventory.ts';
import { parseSign1 } from '../../security/cose.ts';
import type { Membership } from '../../store/pne-kept.ts';
import type { KnownFacts, Settings } from './device.ts';
import type { Course } from './ladder.ts';

export type Screen =
  | { readonly name: 'home' | 'run' | 'settings' }
  | { readonly name: 'network'; readonly pnId: string };

export interface MemberView {
  readonly handle: number;
  readonly label: string | undefined;
  readonly capability: Uint8Array;
  readonly contents: readonly { readonly name: string; readonly mediaType: string }[];
  readonly isThisDevice: boolean;
}

export interface NetworkView {
  /** hex */
  readonly pnId: string;
  readonly th3: Uint8Array;
  readonly name: string;
  readonly gatewayId: string;
  readonly version: number;
  /** Seconds since 1970, the server's. */
  readonly issuedAt: number;
  readonly stale: boolean;
  readonly members: readonly MemberView[];
}

export interface PendingView {
  readonly pnId: string;
  readonly th3: Uint8Array;
  readonly gatewayId: string;
}

export type RunResult =
  | { readonly kind: 'enrolled'; readonly userLabel: string; readonly homeAddress: string }
  | { readonly kind: 'member'; readonly pnId: string }
  | { readonly kind: 'failed'; readonly status: Exclude<Status, 'ok'> };

/** One attempt at something over Bluetooth, from the chooser to its end. */
export interface RunView {
  readonly purpose: 'enrol' | 'establish' | 'resume';
  readonly course: Course;
  readonly question: JoinQuestion | undefined;
  /** Six digits that the home gateway has to show, too. */
  readonly digits: string | undefined;
  /** When the question is void, on the page's monotonic clock. */
  readonly answerBeforeMs: number | undefined;
  readonly result: RunResult | undefined;
}

export type LinkView =
  | { readonly state: 'none' | 'connecting' }
  | { readonly state: 'open' | 'lost'; readonly pnId: string | undefined };

export interface AppState {
  readonly screen: Screen;
  /** The code that a QR or the user brought; its text is a secret and never shown again. */
  readonly hasCode: boolean;
  readonly codeFault: string | undefined;
  readonly thumbprint: string;
  readonly owner: { readonly userLabel: string; readonly homeAddress: string } | undefined;
  readonly networks: readonly NetworkView[];
  readonly pending: readonly PendingView[];
  readonly run: RunView | undefined;
  readonly link: LinkView;
  readonly settings: Settings;
  readonly known: KnownFacts;
  /** Told once, as a sentence. */
  readonly notice: string | undefined;
}

/** @throws CpnsError malformed when what was kept is damaged */
export function networkView({ join, inventory }: Membership, stale: boolean): NetworkView {
  const payload = InventoryPayload.decode(parseSign1(inventory).payload);
  const ownJoin = join.th3.slice(0, JOIN_ID_BYTES);
  return {
    pnId: toHex(join.pnId),
    th3: join.th3,
    name: payload.name,
    gatewayId: toHex(payload.gatewayId.slice(0, GATEWAY_ID_BYTES)),
    version: payload.version,
    issuedAt: payload.issuedAt,
    stale,
    members: payload.members.map(({ handle, joinId, capability, contents, label }) => ({
      ...{ handle, label, capability },
      contents: contents ?? [],
      isThisDevice: equal(joinId, ownJoin),
    })),
  };
}

export function pendingView(join: KnownJoin): PendingView {
  return { pnId: toHex(join.pnId), th3: join.th3, gatewayId: toHex(join.gatewayId) };
}
