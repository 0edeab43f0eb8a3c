/**
 * A gateway that enrolled like any other and then does as it likes: a radio, a certificate, a credential, and each step of
 * the flow as a call that can be spoilt. Not the project's gateway machine, which would not do what is tried here.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes } from '../../../src/base/bytes.ts';
import { PnId, TransactionId } from '../../../src/base/ids.ts';
import { openCentral } from '../../../src/bluetooth/open.ts';
import type { Central, GattLink } from '../../../src/bluetooth/ports.ts';
import { openServerClient, type ServerClient } from '../../../src/https/server-client.ts';
import type { OpenRequest } from '../../../src/link/open.ts';
import { PnRegistrationRequest } from '../../../src/messages/registration.ts';
import { Resume, Resumed } from '../../../src/messages/resumption.ts';
import { PnSetupNotify, PnSetupRequestPayload, unpadPnSetupResponse } from '../../../src/messages/setup.ts';
import { type GatewayIdentity, readGatewayIdentity } from '../../../src/nodes/gateway/identity.ts';
import { parseSign1 } from '../../../src/security/cose.ts';
import { derivePrk2, deriveRms, transcript2, transcript3 } from '../../../src/security/key-schedule.ts';
import { loadKey, type SoftwareSigner, type StoredSigner } from '../../../src/security/keystore.ts';
import { openGatewayStore } from '../../../src/store/gateway-store.ts';
import type { TestNetwork } from '../../nodes/network.ts';
import { primitives, signMessage } from '../../support/join.ts';
import { Dialogue, type DialogueOptions, type Opened } from './dialogue.ts';

const CONNECT_TRIES = 20;

/** What a step 1 says; each part can be another's. */
export interface SetupChanges {
  readonly pnId?: PnId;
  readonly name?: string;
  readonly credential?: Bytes;
  readonly signer?: SoftwareSigner;
  readonly th1?: Bytes;
}

/** A link on which steps 1 and 2 were exchanged. */
export interface Invited {
  readonly dialogue: Dialogue;
  readonly opened: Opened;
  readonly pnId: PnId;
  readonly m1: Bytes;
  readonly m2: Bytes;
}

/** What goes to the server in step 3. */
export type Registered = Pick<Invited, 'm1' | 'm2'> & {
  readonly opened: Pick<Opened, 'openG' | 'openP' | 'th1'>;
};

/** Steps 3 to 6 done. */
export interface Signed {
  readonly txn: TransactionId;
  readonly th3: Bytes;
  readonly rms: Bytes;
  readonly prk2: Bytes;
  readonly challenge: Bytes;
  readonly response: Bytes;
}

export type Joined = Invited & Signed & { readonly inventory: Bytes };

export interface Resuming {
  readonly dialogue: Dialogue;
  readonly th1: Bytes;
  readonly version: number;
}

export class RogueGateway {
  readonly identity: GatewayIdentity;
  readonly signer: StoredSigner;
  readonly client: ServerClient;
  readonly central: Central;

  private constructor(identity: GatewayIdentity, signer: StoredSigner, central: Central) {
    this.identity = identity;
    this.signer = signer;
    this.central = central;
    const { serverUrl, caPem, tls } = identity;
    this.client = openServerClient({ baseUrl: serverUrl, caPem, identity: tls });
  }

  static async enrol(network: TestNetwork, user: string, label: string): Promise<RogueGateway> {
    const stateDir = join(network.dir, `rogue-${user}-${label}`);
    mkdirSync(stateDir, { mode: 0o700, recursive: true });
    await network.enrolGateway(stateDir, user, label);
    const signer = loadKey(join(stateDir, 'identity.pem'));
    const store = openGatewayStore(join(stateDir, 'gateway.sqlite'));
    const identity = readGatewayIdentity(store, primitives, signer);
    store.close();
    return new RogueGateway(identity, signer, await openCentral(network.radio.moniker));
  }

  async close(): Promise<void> {
    this.client.close();
    await this.central.close();
  }

  /** A subscribed link to this address, however often it takes: others want the PNE as well. */
  async connect(address: string): Promise<GattLink> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.central.connect(address, { deadlineMs: 3_000 });
      } catch (error) {
        if (tries >= CONNECT_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async open(
    address: string,
    request: OpenRequest = { kind: 'establish' },
    options: DialogueOptions = {},
  ): Promise<Dialogue> {
    return Dialogue.central(await this.connect(address), request, options);
  }

  /** Step 1. */
  setupRequest(th1: Bytes, changes: SetupChanges = {}): { readonly pnId: PnId; readonly m1: Bytes } {
    const { pnId = PnId(primitives.randomBytes(8)), name = 'Cellar PN' } = changes;
    const credential = changes.credential ?? this.identity.credential;
    const payload = { pnId, setupType: 'new', name, credential } as const;
    const signer = changes.signer ?? this.signer;
    return {
      pnId,
      m1: signMessage(PnSetupRequestPayload, changes.th1 ?? th1, payload, signer as SoftwareSigner),
    };
  }

  /** A link with a PNE that joins: steps 0 to 2. */
  async invite(address: string, changes: SetupChanges = {}, options: DialogueOptions = {}): Promise<Invited> {
    const dialogue = await this.open(address, { kind: 'establish' }, options);
    const opened = await dialogue.opened();
    const { pnId, m1 } = this.setupRequest(opened.th1, changes);
    dialogue.send('PnSetupRequest', m1);
    const m2 = unpadPnSetupResponse(await dialogue.expect('PnSetupResponse'));
    return { dialogue, opened, pnId, m1, m2 };
  }

  /** Steps 3 and 4. @throws CpnsError what the server refuses with */
  async challenge({
    opened,
    m1,
    m2,
  }: Registered): Promise<{ readonly txn: TransactionId; readonly challenge: Bytes }> {
    const { openG, openP, th1 } = opened;
    const gatewayInfo = { capability: Uint8Array.of(1), subscription: 'sub-m' };
    const txn = TransactionId(transcript2(primitives, th1, m1, m2).slice(0, 16));
    const request = PnRegistrationRequest.encode({ openG, openP, m1, m2, gatewayInfo });
    const { challenge } = await this.client.registerPn(txn, request);
    return { txn, challenge };
  }

  /** Steps 3 to 6, nothing said to the server of step 6. */
  async sign(invited: Invited): Promise<Signed> {
    const { dialogue, opened, m1, m2 } = invited;
    const { txn, challenge } = await this.challenge(invited);
    dialogue.send('AuthenticationChallenge', challenge);
    const response = await dialogue.expect('AuthenticationResponse');
    const th2 = transcript2(primitives, opened.th1, m1, m2);
    const th3 = transcript3(primitives, th2, parseSign1(challenge).payload);
    const prk2 = derivePrk2(primitives, th3, opened.prk1);
    return { txn, th3, prk2, rms: deriveRms(primitives, prk2), challenge, response };
  }

  /** A whole and lawful establishment: what a hostile gateway has once a PNE's policy takes it. */
  async join(address: string, changes: SetupChanges = {}): Promise<Joined> {
    const invited = await this.invite(address, changes);
    const signed = await this.sign(invited);
    const { dialogue } = invited;
    dialogue.advance(signed.prk2);
    await this.client.respond(signed.txn, signed.response);
    const inventory = await this.inventory(signed.txn);
    dialogue.send('PnSetupNotify', PnSetupNotify.encode({ status: 'ok', inventory }));
    await dialogue.expect('Ack');
    return { ...invited, ...signed, inventory };
  }

  /** Step 11, asked for until it is there. */
  async inventory(txn: TransactionId): Promise<Bytes> {
    for (;;) {
      const { inventory, status } = await this.client.transaction(txn);
      if (inventory) return inventory;
      if (status !== 'awaiting-user' && status !== 'awaiting-home-gateway') throw new Error(status);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** A resumed link up to Resumed. @returns the version that the PNE has */
  async resume(address: string, { rms, pnId }: Pick<Joined, 'rms' | 'pnId'>): Promise<Resuming> {
    const dialogue = await this.open(address, { kind: 'resume', rms: rms.slice() });
    const { th1 } = await dialogue.opened();
    dialogue.send('Resume', Resume.encode({ pnId, version: 0 }));
    const { version } = Resumed.decode(await dialogue.expect('Resumed'));
    return { dialogue, th1, version };
  }
}
