/**
 * CPU time of one registration at the server: steps 3, 4, 7, 8, 9 and 11 over real TLS from this process, next to a bare
 * node:https server that answers the same number of requests with the same body sizes, block by block in the same run.
 * Joins are made by hand with real keys; no Bluetooth.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { enrolGateway } from '../../src/https/server-client-enrol.ts';
import { HttpsTransport, tlsOptions } from '../../src/https/server-client-transport.ts';
import { ChannelFrame } from '../../src/messages/channel.ts';
import { StatusBody } from '../../src/messages/common.ts';
import { ConfirmationBody } from '../../src/messages/confirmation.ts';
import {
  AuthenticationRelay,
  PnRegistrationChallenge,
  TransactionState,
} from '../../src/messages/registration.ts';
import { initServer, openServerAdmin } from '../../src/nodes/server/admin.ts';
import { Operator } from '../../src/nodes/server/identity.ts';
import { thumbprintOf } from '../../src/security/cose-key.ts';
import { parseGatewayToken } from '../../src/security/gateway-token.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import { createCertificateRequest } from '../../src/security/x509.ts';
import { primitives, sayYes } from '../../test/support/join.ts';
import { buildEnrolment, joinOf, TestGateway, type TestPne } from '../../test/support/server-kit.ts';
import { Child, medianOf, pause } from './child.ts';
import type { BenchRow, BenchSection } from './report.ts';
import type { BareAnswer, ServerOrders } from './server-party.ts';

export interface ServerCpuOptions {
  /** Registrations that count; default 200. */
  readonly registrations?: number;
  /** Blocks they are divided into, each followed by as many bare exchanges; default 5. */
  readonly blocks?: number;
  /** Blocks before them that don't count; default 3. */
  readonly warmUp?: number;
  readonly onProgress?: (line: string) => void;
}

/** µs of CPU per registration, or per exchange of the same sizes, in each block. */
export interface ServerCpu {
  readonly registrationUs: readonly number[];
  readonly bareUs: readonly number[];
  readonly bareFramesUs: readonly number[];
  /** The ES256 operations of one registration: see {@link SIGNATURES}. */
  readonly es256Us: number;
  /** CPU with nothing to do, µs per second. */
  readonly idleUsPerSecond: number;
  readonly requestBytes: readonly number[];
  readonly answerBytes: readonly number[];
  readonly frameBytes: readonly number[];
}

/** Step 4, inventory, outcome; and credential, steps 1, 6 and 9. */
const SIGNATURES = { made: 3, verified: 4 };
const ES256_ROUNDS = 800;
const CAPABILITY_BYTES = 60;
const PNES = 10;
const IDLE_MS = 1_000;
/** Of an acknowledgement: docs/protocol.md §9. */
const ACK_BYTES = 3;

type Party = Child<ServerOrders>;

interface Exchange {
  readonly path: string;
  readonly by: 0 | 1;
  readonly body: Uint8Array;
  readonly answerBytes: number;
  /** What the server then sends on the channels. */
  readonly frames: BareAnswer['frames'];
}

/** The server with its gateways: 0 is the initiating one, 1 the home of all PNEs. */
class Site {
  readonly dir = mkdtempSync(join(tmpdir(), 'cpns-bench-'));
  readonly real = party('server');
  readonly bare = party('bare server');
  readonly bareFrames = party('bare server with frames');
  readonly #gateways: TestGateway[] = [];
  readonly #pnes: TestPne[] = [];
  readonly #transports: HttpsTransport[] = [];
  readonly #channels: WebSocket[] = [];
  #next = 0;

  async open(): Promise<void> {
    initServer({ stateDir: this.dir, realm: 'op.example' });
    const url = await this.real.ask('start', { stateDir: this.dir });
    for (const user of ['bob', 'alice']) this.#gateways.push(await this.#enrol(url, user));
    const home = this.#gateway(1);
    for (let i = 0; i < PNES; i++) this.#pnes.push(await enrolPne(home));
    for (const gateway of this.#gateways) await gateway.online(url);
  }

  #gateway(i: 0 | 1): TestGateway {
    const gateway = this.#gateways[i];
    if (!gateway) throw new Error('no gateway');
    return gateway;
  }

  async #enrol(url: string, user: string): Promise<TestGateway> {
    const admin = openServerAdmin(this.dir);
    admin.addUser(user);
    const { token } = admin.createToken({ user, gatewayLabel: user });
    admin.close();
    const signer = softwareSigner(generateKey());
    const request = createCertificateRequest(signer, user);
    const { caPem, answer } = await enrolGateway(
      primitives,
      url,
      parseGatewayToken(primitives, token),
      request,
    );
    return new TestGateway(url, caPem, signer, answer);
  }

  /** One registration from step 3 to both outcomes; the exchanges it made, to be repeated bare. */
  async register(): Promise<readonly Exchange[]> {
    const [gateway, home] = [this.#gateway(0), this.#gateway(1)];
    const pne = this.#pnes[this.#next++ % PNES];
    if (!pne) throw new Error('no PNE');
    const made = joinOf(gateway, pne, { capability: new Uint8Array(CAPABILITY_BYTES) });
    const answer = await gateway.client.registerPn(made.txn, made.body);
    const { th3, joinId, response } = made.respond(answer.challenge);
    const state = await gateway.client.respond(made.txn, response);
    const asked = await home.frame('pne-confirm-request');
    const yes = sayYes(home.signer, th3);
    const status = await home.client.confirm(joinId, yes);
    const told = await gateway.frame('pn-registration-response');
    if (told.body.status !== 'ok') throw new Error(`refused: ${told.body.status}`);
    const outcome = await home.frame('join-outcome');
    const waiting = gateway.frames.splice(0).map((frame) => frameOn(0, frame));
    const txn = 'registrations/'.padEnd(14 + 32, '0');
    const relay = AuthenticationRelay.encode({ response });
    const confirmation = ConfirmationBody.encode({ answer: yes });
    return [
      exchange(txn, 0, made.body, PnRegistrationChallenge.encode(answer), []),
      exchange(`${txn}/response`, 0, relay, TransactionState.encode(state), [...waiting, frameOn(1, asked)]),
      exchange('confirmations/'.padEnd(14 + 32, '1'), 1, confirmation, StatusBody.encode({ status }), [
        frameOn(0, told),
        frameOn(1, outcome),
      ]),
    ];
  }

  /** Opens both bare servers and connects to them as the gateways do to the real one. */
  async openBare(exchanges: readonly Exchange[]): Promise<void> {
    const tls = new Operator(this.dir, primitives).tls(
      ['127.0.0.1', 'localhost'],
      Math.floor(Date.now() / 1_000),
    );
    const answers = exchanges.map(({ path, answerBytes, frames }) => ({
      ...{ path: path.slice(-33), bytes: answerBytes, frames },
    }));
    for (const [server, withFrames] of [
      [this.bare, false],
      [this.bareFrames, true],
    ] as const) {
      const url = await server.ask('startBare', { tls, answers, withFrames });
      for (const { caPem, tls: identity } of this.#gateways) {
        this.#transports.push(new HttpsTransport({ baseUrl: url, caPem, identity }));
        if (withFrames) this.#channels.push(await dial(url, tlsOptions({ caPem, identity })));
      }
    }
  }

  async exchangeBare(exchanges: readonly Exchange[], withFrames: boolean): Promise<void> {
    const first = withFrames ? 2 : 0;
    const count = (channel: number) =>
      exchanges.flatMap(({ frames }) => frames.filter((frame) => frame.channel === channel)).length;
    const framed = withFrames && Promise.all(this.#channels.map((channel, i) => arrivals(channel, count(i))));
    for (const { path, by, body } of exchanges)
      await this.#transports[first + by]?.exchange('PUT', path, body);
    await framed;
  }

  async close(): Promise<void> {
    for (const channel of this.#channels) channel.terminate();
    for (const transport of this.#transports) transport.close();
    for (const gateway of this.#gateways) await gateway.close();
    await Promise.all([this.real.stop(), this.bare.stop(), this.bareFrames.stop()]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function party(name: string): Party {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Child<ServerOrders>(
    fileURLToPath(new URL(`./server-party.${extension}`, import.meta.url)),
    name,
  );
}

function exchange(
  path: string,
  by: 0 | 1,
  body: Uint8Array,
  answer: Uint8Array,
  frames: BareAnswer['frames'],
): Exchange {
  return { path, by, body, answerBytes: answer.length, frames };
}

function frameOn(channel: 0 | 1, frame: ChannelFrame): BareAnswer['frames'][number] {
  return { channel, bytes: ChannelFrame.encode(frame).length };
}

async function enrolPne(home: TestGateway): Promise<TestPne> {
  const signer = softwareSigner(generateKey());
  const claim = await buildEnrolment(home, signer);
  await home.client.enrolPne(claim.nonce, claim.request);
  await home.client.ackEnrolment(claim.nonce, 'ok');
  return { signer, thumbprint: thumbprintOf(primitives, signer.publicKey), homeAddress: home.homeAddress };
}

function dial(url: string, tls: ReturnType<typeof tlsOptions>): Promise<WebSocket> {
  const channel = new WebSocket(url.replace('https:', 'wss:'), tls);
  return new Promise((resolve, reject) => {
    channel.once('open', () => resolve(channel));
    channel.once('error', reject);
  });
}

/** Acknowledges so many frames; resolves at the last. */
function arrivals(channel: WebSocket, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const take = (): void => {
      channel.send(Buffer.alloc(ACK_BYTES));
      if (--left > 0) return;
      channel.off('message', take);
      resolve();
    };
    channel.on('message', take);
  });
}

export async function measureServerCpu(options: ServerCpuOptions = {}): Promise<ServerCpu> {
  const { registrations = 200, blocks = 5, warmUp = 3, onProgress = () => {} } = options;
  const perBlock = Math.max(1, Math.round(registrations / blocks));
  const site = new Site();
  const each = async (server: Party, work: () => Promise<unknown>): Promise<number> => {
    const before = await server.ask('cpu');
    for (let i = 0; i < perBlock; i++) await work();
    return ((await server.ask('cpu')) - before) / perBlock;
  };
  try {
    await site.open();
    const exchanges = await site.register();
    await site.openBare(exchanges);
    const blockOf = async () => ({
      registration: await each(site.real, () => site.register()),
      bare: await each(site.bare, () => site.exchangeBare(exchanges, false)),
      bareFrames: await each(site.bareFrames, () => site.exchangeBare(exchanges, true)),
    });
    onProgress('warming up');
    for (let i = 0; i < warmUp; i++) await blockOf();
    const measured: Awaited<ReturnType<typeof blockOf>>[] = [];
    for (let i = 1; i <= blocks; i++) {
      measured.push(await blockOf());
      onProgress(
        `block ${i} of ${blocks}: ${((measured.at(-1)?.registration ?? 0) / 1000).toFixed(2)} ms each`,
      );
    }
    const before = await site.real.ask('cpu');
    await pause(IDLE_MS);
    const idleUs = (await site.real.ask('cpu')) - before;
    const { signUs, verifyUs } = await site.real.ask('es256', { rounds: ES256_ROUNDS });
    return {
      registrationUs: measured.map(({ registration }) => registration),
      bareUs: measured.map(({ bare }) => bare),
      bareFramesUs: measured.map(({ bareFrames }) => bareFrames),
      es256Us: SIGNATURES.made * signUs + SIGNATURES.verified * verifyUs,
      idleUsPerSecond: (idleUs * 1_000) / IDLE_MS,
      requestBytes: exchanges.map(({ body }) => body.length),
      answerBytes: exchanges.map(({ answerBytes }) => answerBytes),
      frameBytes: exchanges.flatMap(({ frames }) => frames.map(({ bytes }) => bytes)),
    };
  } finally {
    await site.close();
  }
}

export async function benchServerCpu(options: ServerCpuOptions = {}): Promise<BenchSection> {
  const cpu = await measureServerCpu(options);
  const ms = (values: readonly number[]) => values.map((us) => us / 1_000);
  const row = (what: string, unit: string, values: readonly number[]): BenchRow => ({
    ...{ what, unit, value: medianOf(values), runs: values.length },
    ...{ least: Math.min(...values), most: Math.max(...values) },
  });
  const ratio = (to: readonly number[]) => cpu.registrationUs.map((us, i) => us / (to[i] ?? Number.NaN));
  return {
    name: 'server',
    title: 'CPU time per registration at the server',
    notes: [
      `${options.registrations ?? 200} registrations one after the other, in blocks; median of the blocks. Server and bare servers are processes of their own, their process.cpuUsage() over each block divided by its registrations; blocks before them to warm up.`,
      `A registration is 3 requests (bodies ${cpu.requestBytes.join(', ')} bytes, answers ${cpu.answerBytes.join(', ')}), ${cpu.frameBytes.length} frames on two channels (${cpu.frameBytes.join(', ')} bytes) with their acknowledgements, ${SIGNATURES.made} signatures made and ${SIGNATURES.verified} verified, and its transactions in SQLite with synchronous=FULL.`,
      'Bare: node:https with TLS 1.3, client certificates and kept connections, the same requests and answers in size and number, nothing looked at. With frames: the same and the frames over bare ws.',
    ],
    rows: [
      row('CPU per registration', 'ms', ms(cpu.registrationUs)),
      row('CPU of the same requests, bare', 'ms', ms(cpu.bareUs)),
      row('CPU of the same requests and frames, bare', 'ms', ms(cpu.bareFramesUs)),
      row('ratio to the requests, bare', '', ratio(cpu.bareUs)),
      row('ratio to requests and frames, bare', '', ratio(cpu.bareFramesUs)),
      { what: 'ES256 of one registration alone', unit: 'ms', value: cpu.es256Us / 1_000 },
      { what: 'CPU of the idle server per second', unit: 'ms', value: cpu.idleUsPerSecond / 1_000 },
    ],
  };
}
