/**
 * Links in the model: they come about by the real handshake of OPENs, carry whole messages in order, and end: in good
 * order, by the loss of the connection or because one side died. Segments, records, credits and timers of the link layer
 * are not here; they have tests of their own.
 */
import { toHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { type Agreement, OpenHandshake, type OpenRequest } from '../../src/link/open.ts';
import { Abort } from '../../src/messages/setup.ts';
import { SYMBOLIC, symbolicEphemeral } from './symbolic.ts';
import { END, type ModelLink, type World } from './world.ts';

const COMMON = { segmentBytes: 244, credits: 64, primitives: SYMBOLIC };

/**
 * Both OPENs. An ephemeral is named by its attempt; all resumptions of a join share one name, since nothing of a link
 * outlives it but what its join has anyway.
 */
export function openLink(
  world: World,
  pne: number,
  attempt: number,
  request: OpenRequest,
): { readonly g: Agreement; readonly p: Agreement } {
  const joins = world.pnes[pne]?.disk.joins() ?? [];
  const name = request.kind === 'resume' ? `resume ${toHex(request.rms)}` : `attempt ${attempt}`;
  const peripheral = new OpenHandshake({
    ...{ ...COMMON, side: 'peripheral', role: 'pne', ephemeral: symbolicEphemeral(`pne ${pne} ${name}`) },
    accept: { establish: true, sessions: joins.map(({ rms, th3 }) => ({ rms, ref: toHex(th3) })) },
  });
  const central = new OpenHandshake({
    ...{
      ...COMMON,
      side: 'central',
      role: 'gateway',
      ephemeral: symbolicEphemeral(`gateway ${pne} ${name}`),
    },
    request,
  });
  const { agreement: g, answer } = central.take(peripheral.first());
  if (!answer) throw new Error('a central answers');
  return { g, p: peripheral.take(answer).agreement };
}

/** The number of a link that no link has. */
export function freeId(world: World): number {
  for (let id = 0; ; id++) if (!world.links.some((link) => link.id === id)) return id;
}

/** A side has left: what it said last is under way, what comes to it is not heard. */
export function leave(
  world: World,
  link: ModelLink,
  side: 'p' | 'g',
  said?: { readonly status: Status; readonly abort: boolean },
): void {
  const abort = said?.abort && said.status !== 'ok';
  const last = abort ? [{ message: 'Abort', body: Abort.encode({ status: said.status }) }] : [];
  if (side === 'p') {
    link.p = undefined;
    link.toP = [];
    link.toG = link.g ? [...link.toG, ...last, END] : [];
  } else {
    link.g = undefined;
    link.toG = [];
    link.toP = link.p ? [...link.toP, ...last, END] : [];
    for (const request of world.gateway.requests) if (request.link === link.id) request.link = undefined;
    world.gateway.requests = world.gateway.requests.filter(
      ({ kind, link: waiting }) => kind !== 'freshness' || waiting !== undefined,
    );
  }
  if (!link.p && !link.g) world.links = world.links.filter((other) => other !== link);
}
