/**
 * Transcripts and keys of a link, byte for byte (docs/protocol.md §5.2–5.4, §7, §8): the only place that spells their
 * labels. Pure. Lengths in bytes: transcripts, PRKs and secrets 32; record keys 16 and ivs 12.
 */
import { type Bytes, utf8 } from '../base/bytes.ts';
import { encodeCbor } from '../messages/cbor.ts';
import { hkdfExpand, hkdfExtract } from './hkdf.ts';
import type { Primitives } from './primitives.ts';

const SECRET_BYTES = 32;
const KEY_BYTES = 16;
const IV_BYTES = 12;
const RID_BYTES = 8;
const TAG_BYTES = 3;
const FIND_TAG_BYTES = 6;

/**
 * th1 = SHA-256(cbor(["cpns1", kind, openG, openP])), 32 bytes (§5.2); openG is the gateway's OPEN, whoever was central.
 * @param kind 1 establish, 2 enrol, 3 resume
 */
export function transcript1(primitives: Primitives, kind: number, openG: Bytes, openP: Bytes): Bytes {
  return primitives.sha256(encodeCbor(['cpns1', kind, openG, openP]));
}

/** th2 = SHA-256(cbor([th1, m1, m2])), 32 bytes (§5.2): plaintext bodies, no type byte, no padding. */
export function transcript2(primitives: Primitives, th1: Bytes, m1: Bytes, m2: Bytes): Bytes {
  return primitives.sha256(encodeCbor([th1, m1, m2]));
}

/** th3 = SHA-256(cbor([th2, challengePayload])), 32 bytes (§5.2): the payload only, not the COSE bytes. */
export function transcript3(primitives: Primitives, th2: Bytes, challengePayload: Bytes): Bytes {
  return primitives.sha256(encodeCbor([th2, challengePayload]));
}

/**
 * PRK1 = HKDF-Extract(salt = th1, keyMaterial), 32 bytes (§5.3).
 * @param keyMaterial Z, 32 bytes; in enrolment Z ‖ S, 44; in resumption Z ‖ RMS, 64
 */
export function derivePrk1(primitives: Primitives, th1: Bytes, keyMaterial: Bytes): Bytes {
  return hkdfExtract(primitives, th1, keyMaterial);
}

/** PRK2 = HKDF-Extract(salt = th3, PRK1), 32 bytes (§5.3): what only the parties to this challenge derive. */
export function derivePrk2(primitives: Primitives, th3: Bytes, prk1: Bytes): Bytes {
  return hkdfExtract(primitives, th3, prk1);
}

/** Key, 16 bytes, and iv, 12 bytes, of one direction in one epoch; the nonce is made of the iv in src/link/records.ts. */
export interface RecordKeys {
  readonly key: Bytes;
  readonly iv: Bytes;
}

/**
 * Record keys of both directions (§5.3).
 * @param phase `hs` for epoch 0 (from PRK1), `ap` for epoch 1 (from PRK2; resumption: from PRK1)
 */
export function epochKeys(
  primitives: Primitives,
  prk: Bytes,
  phase: 'hs' | 'ap',
): { readonly g2p: RecordKeys; readonly p2g: RecordKeys } {
  const derive = (direction: 'g2p' | 'p2g'): RecordKeys => ({
    key: expand(primitives, prk, `cpns1 ${phase} ${direction} key`, KEY_BYTES),
    iv: expand(primitives, prk, `cpns1 ${phase} ${direction} iv`, IV_BYTES),
  });
  return { g2p: derive('g2p'), p2g: derive('p2g') };
}

function expand(primitives: Primitives, prk: Bytes, label: string, length: number): Bytes {
  return hkdfExpand(primitives, prk, utf8(label), length);
}

/** RMS of an establishment: HKDF-Expand(PRK2, "cpns1 resume", 32) (§5.4). */
export function deriveRms(primitives: Primitives, prk2: Bytes): Bytes {
  return expand(primitives, prk2, 'cpns1 resume', SECRET_BYTES);
}

/** RMS between a PNE and its home gateway: HKDF-Expand(PRK1 of the enrolment, "cpns1 home resume", 32) (§5.4). */
export function deriveHomeRms(primitives: Primitives, prk1: Bytes): Bytes {
  return expand(primitives, prk1, 'cpns1 home resume', SECRET_BYTES);
}

/** rid = HMAC(K_rid, ephemeral of the peripheral)[0..7], 8 bytes (§8). */
export function deriveRid(primitives: Primitives, rms: Bytes, peripheralEphemeral: Bytes): Bytes {
  const key = expand(primitives, rms, 'cpns1 rid', SECRET_BYTES);
  return primitives.hmacSha256(key, peripheralEphemeral).slice(0, RID_BYTES);
}

/** K_adv = HKDF-Expand(RMS, "cpns1 adv", 32), from which the tags in the scan response are made (§5.4). */
export function deriveAdvertisingKey(primitives: Primitives, rms: Bytes): Bytes {
  return expand(primitives, rms, 'cpns1 adv', SECRET_BYTES);
}

/** Tag of a membership, pending join or home under a salt of 3 bytes: HMAC(K_adv, salt)[0..2] (§2.2). */
export function advertisingTag(primitives: Primitives, advertisingKey: Bytes, salt: Bytes): Bytes {
  return primitives.hmacSha256(advertisingKey, salt).slice(0, TAG_BYTES);
}

/** Find tag of an enrolment code under a salt of 3 bytes, 6 bytes (§2.2). @param secret S of the code, 12 bytes */
export function findTag(primitives: Primitives, secret: Bytes, salt: Bytes): Bytes {
  return primitives
    .hmacSha256(expand(primitives, secret, 'cpns1 find', SECRET_BYTES), salt)
    .slice(0, FIND_TAG_BYTES);
}
