/**
 * A home gateway in the model: the real machine, and what src/nodes/gateway/home-gateway.ts does around it, on the model's disk.
 */
import { type Bytes, equal } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { JoinId } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import {
  claimedThumbprint,
  type Decision,
  HOME_GATEWAY_MACHINE,
  type HomeGatewayInput,
  joinIdOf,
} from '../../src/establishment/home-gateway.ts';
import { JoinOutcome } from '../../src/messages/channel.ts';
import { PneConfirmRequest } from '../../src/messages/confirmation.ts';
import type { ConfirmRecord } from '../../src/store/gateway-home.ts';
import { drive } from './drive.ts';
import { violate } from './safety.ts';
import { IN_TIME } from './scene.ts';
import { SYMBOLIC } from './symbolic.ts';
import type { HomeRunning, ModelHome, World } from './world.ts';

export const YES: Decision = { yours: true, chargeable: true, reason: 'ok' };
export const NO: Decision = { yours: true, chargeable: false, reason: 'user-refused' };

function part(world: World, home: number): ModelHome {
  const found = world.homes[home];
  if (!found) throw new TypeError(`no home gateway ${home}`);
  return found;
}

export function runningOf(world: World, home: number, joinId: JoinId): HomeRunning | undefined {
  return part(world, home).running.find((running) => equal(running.joinId, joinId));
}

/** Step 8. @throws CpnsError cannot-persist */
export function takeConfirmRequest(world: World, home: number, body: Bytes): void {
  const request = PneConfirmRequest.decode(body);
  const joinId = joinIdOf(request);
  const { th3, deadline } = request;
  const record = part(world, home).disk.saveRequest({ joinId, th3, body, deadline }, IN_TIME);
  if (record.state === 'settled') return;
  const running = runningOf(world, home, joinId);
  if (running) feedHome(world, home, running, { kind: 'resend' });
  else take(world, home, record);
}

/** The outcome. @throws CpnsError cannot-persist */
export function takeOutcome(world: World, home: number, body: Bytes): void {
  const { joinId, outcome } = JoinOutcome.decode(body);
  const record = part(world, home).disk.request(joinId);
  if (!record || record.outcome) return;
  const running = runningOf(world, home, joinId) ?? run(world, home, record);
  feedHome(world, home, running, { kind: 'outcome', outcome });
  if (running.state === 'suspended') throw new CpnsError('cannot-persist');
}

export function take(world: World, home: number, record: ConfirmRecord): void {
  feedHome(world, home, run(world, home, record), { kind: 'review', now: IN_TIME });
}

function run(world: World, home: number, record: ConfirmRecord): HomeRunning {
  const { scene } = world;
  const request = PneConfirmRequest.decode(record.body);
  const thumbprint = claimedThumbprint(request);
  const pne =
    thumbprint &&
    scene.pnes.find(({ facts, home: own }) => own === home && equal(facts.thumbprint, thumbprint));
  const running: HomeRunning = {
    joinId: record.joinId,
    state: record.answer ? 'answering' : 'asked',
    data: {
      ...{
        primitives: SYMBOLIC,
        serverKeys: scene.operator.serverKeys,
        request,
        rules: [],
        subscription: 'flat',
      },
      gatewayId: scene.homes[home]?.facts.gatewayId ?? scene.gateway.facts.gatewayId,
      pne: pne && { thumbprint: pne.facts.thumbprint, key: pne.facts.key, revoked: false },
      ...(record.answer && { answer: record.answer }),
      ...(record.decision && { decision: record.decision }),
    },
  };
  part(world, home).running.push(running);
  return running;
}

export function feedHome(world: World, home: number, running: HomeRunning, input: HomeGatewayInput): void {
  const party = part(world, home);
  const { disk } = party;
  const { data, joinId } = running;
  drive(world, HOME_GATEWAY_MACHINE, running, input, {
    ask: () => undefined,
    sign: ({ message }) => ({
      kind: 'signed' as const,
      signature: world.scene.homes[home]?.signer.sign(message) ?? message,
    }),
    saveAnswer: ({ decision, decidedBy, answer }) => {
      const record = disk.saveAnswer(joinId, decision, decidedBy, answer);
      if (record.answer) data.answer = record.answer;
    },
    send: ({ answer }) =>
      world.gate.pass(() => {
        if (party.confirmations.some((sent) => equal(sent.joinId, joinId))) return;
        const sent = {
          joinId,
          answer: data.answer ?? answer,
          stage: 'sent',
          status: undefined,
          seen: undefined,
        } as const;
        party.confirmations.push({ ...sent });
      }),
    settle: ({ status, outcome }) => {
      disk.settleRequest(joinId, status, outcome, IN_TIME);
      return { kind: 'stored' as const };
    },
    alarm: ({ status }) => violate(world, `a home gateway raises the alarm: ${status}`),
  });
  if (HOME_GATEWAY_MACHINE.final.includes(running.state))
    party.running = party.running.filter((other) => other !== running);
}

/** What the server said to step 9. */
export function takeConfirmed(world: World, home: number, joinId: JoinId, status: Status): void {
  const party = part(world, home);
  party.confirmations = party.confirmations.filter((sent) => !equal(sent.joinId, joinId));
  const running = runningOf(world, home, joinId);
  if (running)
    feedHome(world, home, running, status === 'ok' ? { kind: 'delivered' } : { kind: 'rejected', status });
}

/** Killed, and not back yet: the server sees it offline. */
export function crashHome(world: World, home: number): void {
  Object.assign(part(world, home), { up: false, running: [], confirmations: [], strays: [] });
}

/** Started again: it takes up what is open. */
export function restartHome(world: World, home: number): void {
  part(world, home).up = true;
  for (const record of part(world, home).disk.requests()) take(world, home, record);
}
