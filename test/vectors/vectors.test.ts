/**
 * The published vectors are what this code makes, every refused input gets its status, and what OpenSSL computes by
 * itself from the published numbers agrees (node:crypto's HKDF, ECDH and AES-GCM, not our key schedule).
 */
import assert from 'node:assert/strict';
import { createDecipheriv, createECDH, createHash, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Bytes, fromHex, toHex } from '../../src/base/bytes.ts';
import { statusOfError } from '../../src/base/errors.ts';
import { verifyChallenge } from '../../src/establishment/server-words.ts';
import { encodeCbor } from '../../src/messages/cbor.ts';
import { Resume } from '../../src/messages/resumption.ts';
import { Ack, Waiting } from '../../src/messages/setup.ts';
import { coseKeyOf } from '../../src/security/cose-key.ts';
import { verifyCredential } from '../../src/security/credential.ts';
import { pinServerKeys } from '../../src/security/server-keys.ts';
import { announcementVectors } from '../vectors-src/announcements.ts';
import { enrolmentVectors, mirroredVectors } from '../vectors-src/enrolment.ts';
import { establishmentVectors } from '../vectors-src/establishment.ts';
import { partyVectors, root, server } from '../vectors-src/parties.ts';
import { rejectVectors } from '../vectors-src/reject.ts';
import { primitives } from '../vectors-src/signing.ts';
import { toJson } from '../vectors-src/values.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const statusOf = (run: () => unknown): string => {
  try {
    run();
    return 'ok';
  } catch (error) {
    return statusOfError(error);
  }
};

describe('published vectors', () => {
  const generators = {
    'parties.json': partyVectors,
    'establishment.json': establishmentVectors,
    'enrolment.json': enrolmentVectors,
    'mirrored.json': mirroredVectors,
    'announcements.json': announcementVectors,
    'reject.json': rejectVectors,
  };
  for (const [name, generate] of Object.entries(generators)) {
    it(`${name} is what the code makes`, () => assert.deepEqual(read(name), toJson(generate())));
  }
});

describe('establishment.json against OpenSSL alone', () => {
  const v = read('establishment.json');
  const cbor = (value: Parameters<typeof encodeCbor>[0]) => encodeCbor(value);
  const sha = (bytes: Bytes) => createHash('sha256').update(bytes).digest('hex');
  const hkdf = (ikm: string, salt: string, info: string, length: number) =>
    Buffer.from(hkdfSync('sha256', fromHex(ikm), fromHex(salt), info, length)).toString('hex');

  it('agrees on Z from both sides', () => {
    for (const [own, peer] of [
      ['gateway', 'pne'],
      ['pne', 'gateway'],
    ] as const) {
      const ecdh = createECDH('prime256v1');
      ecdh.setPrivateKey(fromHex(v.ephemerals[own].privateKey));
      const z = ecdh.computeSecret(Buffer.from(`02${v.ephemerals[peer].x}`, 'hex'));
      assert.equal(z.toString('hex'), v.step0.z);
    }
  });

  it('hashes the transcript', () => {
    assert.equal(sha(cbor(['cpns1', 1, fromHex(v.step0.openG), fromHex(v.step0.openP)])), v.step0.th1);
    assert.equal(sha(cbor([fromHex(v.step0.th1), fromHex(v.step1.sign1), fromHex(v.step2.body)])), v.th2);
    assert.equal(sha(cbor([fromHex(v.th2), fromHex(v.step4.payload)])), v.th3);
  });

  it('derives the epoch keys', () => {
    const { step0, epoch0, epoch1, th3 } = v;
    // HKDF-Extract then -Expand in one call, so PRK1 itself is checked through what comes of it.
    assert.equal(hkdf(step0.z, step0.th1, 'cpns1 hs g2p key', 16), epoch0.g2p.key);
    assert.equal(hkdf(step0.z, step0.th1, 'cpns1 hs p2g iv', 12), epoch0.p2g.iv);
    assert.equal(hkdf(epoch0.prk1, th3, 'cpns1 ap g2p key', 16), epoch1.g2p.key);
    assert.equal(hkdf(epoch0.prk1, th3, 'cpns1 resume', 32), v.resumption.rms);
  });

  it('opens every record', () => {
    const records = {
      step1: v.epoch0.g2p,
      step2: v.epoch0.p2g,
      step2Declined: v.epoch0.p2g,
      step5: v.epoch0.g2p,
      step6: v.epoch0.p2g,
      step13: v.epoch1.g2p,
      step14: v.epoch1.p2g,
      step15: v.epoch1.g2p,
      data: v.epoch1.p2g,
    };
    for (const [name, keys] of Object.entries(records)) {
      const { nonce, record, plaintext } = v[name];
      const sealed = fromHex(record);
      const decipher = createDecipheriv('aes-128-gcm', fromHex(keys.key), fromHex(nonce));
      decipher.setAuthTag(sealed.slice(-16));
      const opened = Buffer.concat([decipher.update(sealed.slice(0, -16)), decipher.final()]);
      assert.equal(opened.toString('hex'), plaintext, name);
    }
  });

  it('holds the byte budget of steps 1, 2, 5, 6 and 13', () => {
    const segments = ['step1', 'step2', 'step5', 'step6', 'step13'].map((name) => {
      const bytes = v[name].record.length / 2;
      return bytes <= 243 ? 1 : 1 + Math.ceil((bytes - 241) / 243);
    });
    assert.ok(segments.reduce((sum, count) => sum + count) <= 7, segments.join('+'));
  });
});

describe('reject.json', () => {
  const reject = rejectVectors();
  const keys = pinServerKeys(primitives, coseKeyOf(root.publicKey), [coseKeyOf(server.publicKey)]);
  const messages = { Ack, Waiting, Resume };

  for (const [name, list] of Object.entries(reject.bodies)) {
    for (const { why, bytes, status } of list) {
      it(`${name}: ${why}`, () =>
        assert.ok(
          [status, 'oversize'].includes(statusOf(() => messages[name as keyof typeof messages].decode(bytes))),
          toHex(bytes),
        ));
    }
  }

  const challenge = (bytes: Bytes) => statusOf(() => verifyChallenge(primitives, keys, reject.challenge.th2, bytes));
  const credential = (bytes: Bytes) =>
    statusOf(() => verifyCredential(primitives, keys, bytes, { now: reject.serverTime }));
  for (const [name, check, { accept, refuse }] of [
    ['challenge', challenge, reject.challenge],
    ['credential', credential, reject.credential],
  ] as const) {
    it(`${name}: accepts what is right`, () => {
      for (const bytes of accept) assert.equal(check(bytes), 'ok', toHex(bytes));
    });
    for (const { why, bytes, status } of refuse) {
      it(`${name}: ${why}`, () => assert.equal(check(bytes), status, toHex(bytes)));
    }
  }

});
