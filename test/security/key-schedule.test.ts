/**
 * The key schedule against a second one written here from docs/protocol.md §5.2–§5.4, §2.2 and §8: CBOR by hand, HKDF by
 * node:crypto.
 */
import assert from 'node:assert/strict';
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { concat, utf8 } from '../../src/base/bytes.ts';
import * as schedule from '../../src/security/key-schedule.ts';
import { check, primitives } from './helpers.ts';

type B = Uint8Array;

const sha256 = (...parts: B[]): B =>
  new Uint8Array(
    createHash('sha256')
      .update(concat(...parts))
      .digest(),
  );
const hmac = (key: B, ...parts: B[]): B =>
  new Uint8Array(
    createHmac('sha256', key)
      .update(concat(...parts))
      .digest(),
  );
const hkdf = (ikm: B, salt: B, info: string, length: number): B =>
  new Uint8Array(hkdfSync('sha256', ikm, salt, info, length));
/** Expand alone, up to 32 bytes: its first block. */
const expand = (prk: B, info: string, length: number): B =>
  hmac(prk, utf8(info), Uint8Array.of(1)).slice(0, length);

function bstr(bytes: B): B {
  const n = bytes.length;
  const head = n < 24 ? [0x40 + n] : n < 256 ? [0x58, n] : [0x59, n >> 8, n & 0xff];
  return concat(Uint8Array.from(head), bytes);
}

const message = fc.uint8Array({ maxLength: 600 });
const secret = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('key schedule', () => {
  it('transcripts', () => {
    const kind = fc.constantFrom(1, 2, 3);
    check(
      fc.property(kind, message, message, message, secret, (n, openG, openP, payload, th) => {
        // 84: four items; 65: a text of five
        const th1 = sha256(
          Uint8Array.of(0x84, 0x65),
          utf8('cpns1'),
          Uint8Array.of(n),
          bstr(openG),
          bstr(openP),
        );
        assert.deepEqual(schedule.transcript1(primitives, n, openG, openP), th1);
        const th2 = sha256(Uint8Array.of(0x83), bstr(th), bstr(openG), bstr(openP));
        assert.deepEqual(schedule.transcript2(primitives, th, openG, openP), th2);
        const th3 = sha256(Uint8Array.of(0x82), bstr(th), bstr(payload));
        assert.deepEqual(schedule.transcript3(primitives, th, payload), th3);
      }),
      300,
    );
  });

  it('record keys of both epochs, of enrolment and of resumption', () => {
    check(
      fc.property(secret, secret, secret, fc.uint8Array({ maxLength: 32 }), (th1, th3, z, extra) => {
        const material = concat(z, extra);
        const prk1 = schedule.derivePrk1(primitives, th1, material);
        const prk2 = schedule.derivePrk2(primitives, th3, prk1);
        const sources = { hs: [prk1, material, th1], ap: [prk2, prk1, th3] } as const;
        for (const phase of ['hs', 'ap'] as const) {
          const [prk, ikm, salt] = sources[phase];
          const keys = schedule.epochKeys(primitives, prk, phase);
          for (const direction of ['g2p', 'p2g'] as const) {
            const label = `cpns1 ${phase} ${direction}`;
            assert.deepEqual(keys[direction].key, hkdf(ikm, salt, `${label} key`, 16));
            assert.deepEqual(keys[direction].iv, hkdf(ikm, salt, `${label} iv`, 12));
          }
        }
        assert.deepEqual(
          schedule.epochKeys(primitives, prk1, 'ap').g2p.key,
          hkdf(material, th1, 'cpns1 ap g2p key', 16),
        );
        assert.deepEqual(schedule.deriveRms(primitives, prk2), hkdf(prk1, th3, 'cpns1 resume', 32));
        assert.deepEqual(
          schedule.deriveHomeRms(primitives, prk1),
          hkdf(material, th1, 'cpns1 home resume', 32),
        );
      }),
      200,
    );
  });

  it('resumption identifier and tags', () => {
    check(
      fc.property(secret, secret, message, (rms, ephemeral, salt) => {
        const rid = hmac(expand(rms, 'cpns1 rid', 32), ephemeral).slice(0, 8);
        assert.deepEqual(schedule.deriveRid(primitives, rms, ephemeral), rid);
        const adv = expand(rms, 'cpns1 adv', 32);
        assert.deepEqual(schedule.deriveAdvertisingKey(primitives, rms), adv);
        assert.deepEqual(schedule.advertisingTag(primitives, adv, salt), hmac(adv, salt).slice(0, 3));
        const code = rms.slice(0, 12);
        const find = hmac(expand(code, 'cpns1 find', 32), salt).slice(0, 6);
        assert.deepEqual(schedule.findTag(primitives, code, salt), find);
      }),
      200,
    );
  });
});
