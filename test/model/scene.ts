/**
 * Who is in the model and never changes: keys, credentials, the server's directory, who is whose. PNEs are enrolled and
 * gateways have their credentials, as every establishment begins.
 */
import { EMPTY, utf8 } from '../../src/base/bytes.ts';
import type { GatewayId, Thumbprint } from '../../src/base/ids.ts';
import type { PneIdentity } from '../../src/establishment/pne-types.ts';
import type { GatewayFacts, PneFacts } from '../../src/establishment/server-types.ts';
import { GatewayCredentialPayload } from '../../src/messages/credential.ts';
import { formatHomeAddress } from '../../src/messages/home-address.ts';
import type { Message } from '../../src/messages/message.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { coseKeyOf, gatewayIdOf, kidOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { pinServerKeys, type ServerKeys } from '../../src/security/server-keys.ts';
import { toBeSigned } from '../../src/security/signed-message.ts';
import { SYMBOLIC, SymbolicSigner } from './symbolic.ts';

export const REALM = 'cpns.example';
/** The time of everything that is in time, in server seconds. */
export const IN_TIME = 1_800_000_000;
/** The time of whatever has outlived its deadline. */
export const TOO_LATE = IN_TIME + 2 * 86_400;
const CREDENTIAL_SECONDS = 7 * 86_400;

/** The operator as Registrar wants it: it signs with one key. */
export class SymbolicOperator {
  readonly signer = new SymbolicSigner('server');
  readonly kid = kidOf(SYMBOLIC, this.signer.publicKey);
  readonly serverKeys: ServerKeys = pinServerKeys(SYMBOLIC, coseKeyOf(new SymbolicSigner('root').publicKey), [
    coseKeyOf(this.signer.publicKey),
  ]);

  sign(message: Uint8Array): Uint8Array {
    return this.signer.sign(message);
  }

  signed<T>(message: Message<T>, th: Uint8Array, value: T): Uint8Array {
    const payload = message.encode(value);
    return assembleSign1(payload, this.sign(toBeSigned(message, th, payload)), this.kid);
  }
}

export interface ScenePne {
  readonly signer: SymbolicSigner;
  readonly identity: PneIdentity;
  readonly facts: PneFacts;
  /** Which home gateway is its own. */
  readonly home: number;
}

export interface SceneGateway {
  readonly signer: SymbolicSigner;
  readonly facts: GatewayFacts;
}

export class Scene {
  readonly operator = new SymbolicOperator();
  readonly gateway: SceneGateway;
  readonly homes: readonly SceneGateway[];
  readonly pnes: readonly ScenePne[];
  readonly credential: Uint8Array;

  /** @param homeOf for each PNE the number of its home gateway, which is of the user of that number */
  constructor(homeOf: readonly number[]) {
    this.gateway = this.#gateway('gateway', 100);
    this.homes = [...new Set(homeOf)].map((user) => this.#gateway(`home ${user}`, user));
    this.pnes = homeOf.map((home, index) => this.#pne(index, home));
    const { facts } = this.gateway;
    this.credential = this.operator.signed(GatewayCredentialPayload, EMPTY, {
      expiresAt: IN_TIME + CREDENTIAL_SECONDS,
      gatewayId: facts.gatewayId,
      confirmation: { key: coseKeyOf(facts.key) },
      labels: { role: 'gateway', user: facts.userLabel, gateway: facts.label },
    });
  }

  /** What the server's directory says. */
  readonly directory = {
    gateway: (gatewayId: GatewayId): GatewayFacts | undefined =>
      [this.gateway, ...this.homes].find(({ facts }) => same(facts.gatewayId, gatewayId))?.facts,
    pneFacts: (pne: Thumbprint): PneFacts | undefined =>
      this.pnes.find(({ facts }) => same(facts.thumbprint, pne))?.facts,
  };

  homeNumber(gatewayId: GatewayId): number {
    return this.homes.findIndex(({ facts }) => same(facts.gatewayId, gatewayId));
  }

  pneNumber(pne: Thumbprint): number {
    return this.pnes.findIndex(({ facts }) => same(facts.thumbprint, pne));
  }

  #gateway(name: string, userId: number): SceneGateway {
    const signer = new SymbolicSigner(name);
    const key = signer.publicKey;
    const thumbprint = thumbprintOf(SYMBOLIC, key);
    const gatewayId = gatewayIdOf(SYMBOLIC, key);
    return {
      signer,
      facts: { gatewayId, thumbprint, key, userId, userLabel: `user ${userId}`, label: name, standing: 'ok' },
    };
  }

  #pne(index: number, home: number): ScenePne {
    const signer = new SymbolicSigner(`pne ${index}`);
    const key = signer.publicKey;
    const thumbprint = thumbprintOf(SYMBOLIC, key);
    const facts = this.homes[home]?.facts;
    if (!facts) throw new TypeError('homes are numbered from 0, without gaps');
    const homeAddress = formatHomeAddress({ gatewayId: facts.gatewayId, realm: REALM });
    const capability = utf8(`pne ${index}`);
    return {
      signer,
      home,
      identity: { thumbprint, homeAddress, capability, contents: undefined, pneId: undefined },
      facts: { thumbprint, key, userId: facts.userId, standing: 'ok', home: facts },
    };
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
