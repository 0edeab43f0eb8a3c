/**
 * A real server on the loopback interface with users, gateways and PNEs that enrolled by the real exchanges. Its clock is
 * the host's, put forward by hand. Everything lives in a temporary directory that goes away at the end.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type Bytes, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import type { GatewayId, Thumbprint } from '../../src/base/ids.ts';
import type { Status } from '../../src/base/statuses.ts';
import type { Clock } from '../../src/base/time.ts';
import { claimTranscript } from '../../src/enrolment/transcript.ts';
import { type ChannelClient, openChannelClient } from '../../src/https/channel-client.ts';
import { openServerClient, type ServerClient, type TlsIdentity } from '../../src/https/server-client.ts';
import { enrolGateway } from '../../src/https/server-client-enrol.ts';
import type { ChannelFrame } from '../../src/messages/channel.ts';
import {
  EnrolClaimPayload,
  type EnrolmentRequest,
  EnrolOfferPayload,
  type GatewayEnrolment,
} from '../../src/messages/enrolment.ts';
import { LINK_KINDS } from '../../src/messages/link.ts';
import { initServer, openServerAdmin, type ServerAdmin } from '../../src/nodes/server/admin.ts';
import { type CpnsServer, openServer, type ServerOptions } from '../../src/nodes/server/server.ts';
import { coseKeyOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { parseGatewayToken } from '../../src/security/gateway-token.ts';
import { transcript1 } from '../../src/security/key-schedule.ts';
import { generateKey, loadKey, type SoftwareSigner, softwareSigner } from '../../src/security/keystore.ts';
import { pinServerKeys, type ServerKeys } from '../../src/security/server-keys.ts';
import {
  type CertificateAuthority,
  createCertificateRequest,
  derToPem,
  pemToDer,
} from '../../src/security/x509.ts';
import { openServerStore } from '../../src/store/server-store.ts';
import { buildJoin, buildOpens, type Join, type JoinOptions, primitives, signMessage } from './join.ts';

export const REALM = 'op.example';

/** The host's clock with an offset. */
export class ShiftedClock implements Clock {
  offsetSeconds = 0;
  monotonicMs = () => performance.now();
  wallMs = () => Date.now() + this.offsetSeconds * 1_000;
  wallSeconds = () => Math.floor(this.wallMs() / 1_000);
}

export class TestGateway {
  readonly signer: SoftwareSigner;
  readonly enrolment: GatewayEnrolment;
  readonly tls: TlsIdentity;
  readonly caPem: string;
  /** Frames in the order received; acknowledged unless {@link hold} is set. */
  readonly frames: ChannelFrame[] = [];
  client: ServerClient;
  channel: ChannelClient | undefined;
  /** While true frames are not acknowledged. */
  hold = false;
  #waiting: (() => void)[] = [];

  constructor(url: string, caPem: string, signer: SoftwareSigner, enrolment: GatewayEnrolment) {
    this.signer = signer;
    this.caPem = caPem;
    this.enrolment = enrolment;
    this.tls = {
      certPem: derToPem(enrolment.certificates.gateway),
      keyPem: signer.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    };
    this.client = this.#dial(url);
  }

  get gatewayId(): GatewayId {
    return this.enrolment.gatewayId;
  }

  get homeAddress(): string {
    return this.enrolment.homeAddress;
  }

  get credential(): Bytes {
    return this.enrolment.credential;
  }

  get serverKeys(): ServerKeys {
    return pinServerKeys(primitives, this.enrolment.rootKey, this.enrolment.serverKeys);
  }

  #dial(url: string): ServerClient {
    return openServerClient({ baseUrl: url, caPem: this.caPem, identity: this.tls });
  }

  /** The server is somewhere else now. */
  redial(url: string): void {
    this.client.close();
    this.client = this.#dial(url);
  }

  /** Dials the channel and resolves when it is up. */
  async online(url: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.channel = openChannelClient({
        ...{ baseUrl: url, caPem: this.caPem, identity: this.tls },
        redial: { firstMs: 5, maxMs: 20 },
        onEvent: (event) => {
          if (event.kind === 'up') resolve();
        },
        onFrame: async (frame) => {
          this.frames.push(frame);
          for (const wake of this.#waiting.splice(0)) wake();
          if (this.hold) throw new CpnsError('cannot-persist', 'held');
        },
      });
    });
  }

  async offline(): Promise<void> {
    await this.channel?.close();
    this.channel = undefined;
  }

  /** The first frame of a kind for which `test` holds, waiting for it if need be, and taken out of {@link frames}. */
  async frame<K extends ChannelFrame['kind']>(
    kind: K,
    test: (frame: Extract<ChannelFrame, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<ChannelFrame, { kind: K }>> {
    for (;;) {
      const index = this.frames.findIndex(
        (frame) => frame.kind === kind && test(frame as Extract<ChannelFrame, { kind: K }>),
      );
      if (index >= 0) return this.frames.splice(index, 1)[0] as Extract<ChannelFrame, { kind: K }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async close(): Promise<void> {
    await this.offline();
    this.client.close();
  }
}

export interface TestPne {
  readonly signer: SoftwareSigner;
  readonly thumbprint: Thumbprint;
  readonly homeAddress: string;
}

export class ServerKit {
  readonly stateDir = mkdtempSync(joinPath(tmpdir(), 'cpns-server-'));
  readonly clock = new ShiftedClock();
  readonly admin: ServerAdmin;
  readonly #gateways: TestGateway[] = [];
  #options: Partial<ServerOptions> = {};
  #server: CpnsServer | undefined;

  constructor() {
    initServer({ stateDir: this.stateDir, realm: REALM, clock: this.clock });
    this.admin = openServerAdmin(this.stateDir, this.clock);
  }

  get server(): CpnsServer {
    assert.ok(this.#server, 'the server is not running');
    return this.#server;
  }

  async start(options: Partial<ServerOptions> = this.#options): Promise<void> {
    this.#options = options;
    this.#server = await openServer({ stateDir: this.stateDir, port: 0, clock: this.clock, ...options });
    for (const gateway of this.#gateways) gateway.redial(this.server.url);
  }

  async stop(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.offline();
    await this.#server?.close();
    this.#server = undefined;
  }

  /** Resolves when the gateway has acknowledged all there is for it. */
  async drained(gateway: TestGateway): Promise<void> {
    const store = openServerStore(joinPath(this.stateDir, 'server.db'));
    try {
      while (store.outbox.deliveries(gateway.gatewayId, 0, 1).length > 0)
        await new Promise((resolve) => setTimeout(resolve, 2));
    } finally {
      store.close();
    }
  }

  /** Channels stay down afterwards. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The operator's CA with its key, to issue what a server never would. */
  operatorCa(): CertificateAuthority {
    const certificate = pemToDer(readFileSync(joinPath(this.stateDir, 'ca.crt'), 'utf8'));
    return { certificate, key: loadKey(joinPath(this.stateDir, 'ca.key')) };
  }

  addUser(label: string): void {
    this.admin.addUser(label);
  }

  async addGateway(user: string, gatewayLabel: string): Promise<TestGateway> {
    const gateway = await enrolTestGateway(this.server.url, this.admin, user, gatewayLabel);
    this.#gateways.push(gateway);
    return gateway;
  }

  addPne(home: TestGateway, signer: SoftwareSigner = softwareSigner(generateKey())): Promise<TestPne> {
    return enrolTestPne(home, signer);
  }

  async close(): Promise<void> {
    await this.stop();
    for (const gateway of this.#gateways) await gateway.close();
    this.admin.close();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

/** A gateway of a user that exists, enrolled with a token as a real one. */
export async function enrolTestGateway(
  url: string,
  admin: ServerAdmin,
  user: string,
  gatewayLabel: string,
): Promise<TestGateway> {
  const signer = softwareSigner(generateKey());
  const { token } = admin.createToken({ user, gatewayLabel });
  const csr = createCertificateRequest(signer, gatewayLabel);
  const { caPem, answer } = await enrolGateway(primitives, url, parseGatewayToken(primitives, token), csr);
  return new TestGateway(url, caPem, signer, answer);
}

export async function enrolTestPne(
  home: TestGateway,
  signer: SoftwareSigner = softwareSigner(generateKey()),
): Promise<TestPne> {
  const claim = await buildEnrolment(home, signer);
  await home.client.enrolPne(claim.nonce, claim.request);
  await home.client.ackEnrolment(claim.nonce, 'ok');
  return { signer, thumbprint: thumbprintOf(primitives, signer.publicKey), homeAddress: home.homeAddress };
}

export interface EnrolmentKnobs {
  readonly epoch?: number;
  readonly nonce?: Bytes;
  /** Signs E1 in the place of the gateway. */
  readonly offerSigner?: SoftwareSigner;
  /** Signs E2 in the place of the PNE. */
  readonly claimSigner?: SoftwareSigner;
  readonly offer?: Partial<EnrolOfferPayload>;
  readonly linkKind?: 'establish' | 'enrol';
  readonly opens?: Parameters<typeof buildOpens>[1];
}

/** What a home gateway posts after E2. */
export async function buildEnrolment(
  home: TestGateway,
  pne: SoftwareSigner,
  knobs: EnrolmentKnobs = {},
): Promise<{ nonce: Bytes; request: EnrolmentRequest }> {
  const nonce = knobs.nonce ?? (await home.client.enrolmentNonce()).nonce;
  const opens = buildOpens(knobs.linkKind ?? 'enrol', knobs.opens);
  const th1 = transcript1(primitives, LINK_KINDS.enrol, opens.openG, opens.openP);
  const { rootKey, serverKeys, homeAddress, userLabel, credential } = home.enrolment;
  const gatewayKey = coseKeyOf(home.signer.publicKey);
  const offer = signMessage(
    EnrolOfferPayload,
    th1,
    { gatewayKey, rootKey, serverKeys, homeAddress, userLabel, nonce, credential, ...knobs.offer },
    knobs.offerSigner ?? home.signer,
  );
  const claim = signMessage(
    EnrolClaimPayload,
    claimTranscript(primitives, th1, offer),
    { key: coseKeyOf(pne.publicKey), epoch: knobs.epoch ?? 1 },
    knobs.claimSigner ?? pne,
  );
  return { nonce, request: { ...opens, offer, claim } };
}

/** A join of this PNE at this gateway. */
export function joinOf(gateway: TestGateway, pne: TestPne, options: Partial<JoinOptions> = {}): Join {
  return buildJoin({ gateway, pne: pne.signer, homeAddress: pne.homeAddress, ...options });
}

/** Asserts that a promise is rejected with a CpnsError of this status. */
export async function refused(work: Promise<unknown>, status: Status): Promise<CpnsError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof CpnsError, String(error));
    assert.equal(error.status, status, error.message);
    return error;
  }
  return assert.fail(`not refused with ${status}`);
}

export const hex = toHex;
