/**
 * Inputs to refuse, each with the status it gets: bodies against their declaration, signed messages against their keys
 * and transcript (docs/protocol.md §4.1, §4.2, §13).
 */
import { type Bytes, concat, EMPTY, fromHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { encodeCbor } from '../../src/messages/cbor.ts';
import { GatewayCredentialPayload } from '../../src/messages/credential.ts';
import { AuthenticationChallengePayload } from '../../src/messages/setup.ts';
import { assembleSign1 } from '../../src/security/cose.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { fixedBytes, fixedSigner } from './fixed-keys.ts';
import { credential2, gw2, gw2Id, SERVER_TIME, server } from './parties.ts';
import { signVector } from './signing.ts';

interface Refusal {
  readonly why: string;
  readonly bytes: Bytes;
  readonly status: Status;
}

/** n − s: verifies as well as s, so that no signature can be an identifier. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function otherS(signature: Bytes): Bytes {
  const s = signature.slice(32).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return concat(signature.slice(0, 32), fromHex((ORDER - s).toString(16).padStart(64, '0')));
}

function flip(bytes: Bytes, at: number): Bytes {
  const out = bytes.slice();
  out[at] = (out[at] ?? 0) ^ 1;
  return out;
}

const malformed = (why: string, hex: string): Refusal => ({ why, bytes: fromHex(hex), status: 'malformed' });

const ack: readonly Refusal[] = [
  malformed('empty', ''),
  malformed('indefinite-length map', 'bf0100ff'),
  malformed('integer not in its shortest form', 'a1011800'),
  malformed('key not in its shortest form', 'a1180100'),
  malformed('map length not in its shortest form', 'b8010100'),
  malformed('the same key twice', 'a201000100'),
  malformed('keys not in order', 'a202000100'),
  malformed('unknown key', 'a201000200'),
  malformed('missing key', 'a0'),
  malformed('tag', 'c1a10100'),
  malformed('float for an integer', 'a101f90000'),
  malformed('null for an integer', 'a101f6'),
  malformed('undefined for an integer', 'a101f7'),
  malformed('negative integer', 'a10120'),
  malformed('text for an integer', 'a1016130'),
  malformed('array for a map', '820100'),
  malformed('trailing byte', 'a1010000'),
  malformed('truncated', 'a101'),
  malformed('reserved additional information', 'a1011c'),
  malformed('nested deeper than the message is', 'a1018181818181818181818100'),
  { why: 'longer than the message may be', bytes: new Uint8Array(64), status: 'oversize' },
];

const waiting: readonly Refusal[] = [
  malformed('a status that is not one of the two', 'a1011900ff'),
  malformed('success', 'a10100'),
];

const resume: readonly Refusal[] = [
  malformed('PN ID of 7 bytes', `a20147${'00'.repeat(7)}0200`),
  malformed('PN ID of 9 bytes', `a20149${'00'.repeat(9)}0200`),
  malformed('PN ID as text', `a20168${'61'.repeat(8)}0200`),
  malformed('version of 33 bits', `a20148${'00'.repeat(8)}021b0000000100000000`),
  malformed('length beyond the end', `a2015b0000000000001000${'00'.repeat(8)}`),
];

const th2 = fixedBytes('th2');
const challenge = signVector(AuthenticationChallengePayload, server, th2, {
  nonce: fixedBytes('challenge nonce', 16),
  serverTime: SERVER_TIME,
});
const stranger = fixedSigner('stranger');
const forged = signVector(AuthenticationChallengePayload, stranger, th2, {
  nonce: fixedBytes('challenge nonce', 16),
  serverTime: SERVER_TIME,
});
const kid = challenge.sign1.slice(8, 12);

function sign1With(header: string, unprotected: Bytes, payload: Bytes, signature: Bytes): Bytes {
  const text = (bytes: Bytes) => encodeCbor(bytes);
  return concat(fromHex(`84${header}`), unprotected, text(payload), text(signature));
}

const PLAIN_HEADER = '43a10126';
const { payload, signature } = challenge;

const challenges: readonly Refusal[] = [
  {
    why: 'a bit of the signature',
    bytes: flip(challenge.sign1, challenge.sign1.length - 1),
    status: 'challenge-invalid',
  },
  {
    why: 'signed for another transcript',
    bytes: signVector(AuthenticationChallengePayload, server, fixedBytes('other th2'), {
      nonce: fixedBytes('challenge nonce', 16),
      serverTime: SERVER_TIME,
    }).sign1,
    status: 'challenge-invalid',
  },
  {
    why: 'signed by a key that is not pinned, its own kid',
    bytes: forged.sign1,
    status: 'challenge-invalid',
  },
  {
    why: "signed by a stranger under the server's kid",
    bytes: assembleSign1(forged.payload, forged.signature, kid),
    status: 'challenge-invalid',
  },
  { why: 'tagged as COSE_Sign1', bytes: concat(fromHex('d2'), challenge.sign1), status: 'malformed' },
  {
    why: 'protected header names another algorithm',
    bytes: sign1With('44a1013822', fromHex('a0'), payload, signature),
    status: 'malformed',
  },
  {
    why: 'empty protected header',
    bytes: sign1With('40', fromHex('a0'), payload, signature),
    status: 'malformed',
  },
  {
    why: 'algorithm in the unprotected header',
    bytes: sign1With(PLAIN_HEADER, fromHex('a10126'), payload, signature),
    status: 'malformed',
  },
  {
    why: 'no kid in what the server signs',
    bytes: assembleSign1(payload, signature),
    status: 'malformed',
  },
  {
    why: 'kid of 3 bytes',
    bytes: sign1With(PLAIN_HEADER, fromHex('a10443000000'), payload, signature),
    status: 'malformed',
  },
  {
    why: 'signature of 63 bytes',
    bytes: sign1With(PLAIN_HEADER, fromHex('a0'), payload, signature.slice(1)),
    status: 'malformed',
  },
  {
    why: 'detached payload',
    bytes: concat(fromHex(`84${PLAIN_HEADER}a0f6`), encodeCbor(signature)),
    status: 'malformed',
  },
  {
    why: 'reserved key 3 in the payload',
    bytes: assembleSign1(concat(fromHex('a2'), payload.slice(1, 19), fromHex('0300')), signature, kid),
    status: 'malformed',
  },
];

const SECOND = 1;
function credentialFor(changes: Partial<GatewayCredentialPayload>) {
  return signVector(GatewayCredentialPayload, server, EMPTY, {
    expiresAt: SERVER_TIME + 7 * 86_400,
    gatewayId: gw2Id,
    confirmation: { key: coseKeyOf(gw2.publicKey) },
    labels: { role: 'gateway', user: 'Bob Example', gateway: 'Kitchen' },
    ...changes,
  }).sign1;
}

const credentials: readonly Refusal[] = [
  {
    why: 'kid that is not pinned',
    bytes: assembleSign1(credential2.payload, credential2.signature, fromHex('00000000')),
    status: 'credential-unknown-key',
  },
  {
    why: 'expired one second ago',
    bytes: credentialFor({ expiresAt: SERVER_TIME - SECOND }),
    status: 'credential-expired',
  },
  {
    why: 'a bit of the signature',
    bytes: flip(credential2.sign1, credential2.sign1.length - 1),
    status: 'credential-invalid',
  },
  {
    why: 'gatewayId of another key',
    bytes: credentialFor({
      gatewayId: fixedBytes('another gateway', 8) as GatewayCredentialPayload['gatewayId'],
    }),
    status: 'credential-invalid',
  },
  {
    why: 'key that is not on the curve',
    bytes: credentialFor({ confirmation: { key: { x: fromHex(`${'00'.repeat(31)}04`), y: false } } }),
    status: 'malformed',
  },
];

export function rejectVectors() {
  return {
    about:
      'Bytes to refuse and the status each gets. Pinned: the server key of parties.json. Now: serverTime. In bodies, oversize is as good as malformed for what is longer than any message of its kind.',
    serverTime: SERVER_TIME,
    bodies: { Ack: ack, Waiting: waiting, Resume: resume },
    challenge: {
      th2,
      accept: [challenge.sign1, assembleSign1(payload, otherS(signature), kid)],
      refuse: challenges,
    },
    credential: { accept: [credential2.sign1], refuse: credentials },
  };
}
