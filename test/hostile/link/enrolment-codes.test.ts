/** Codes: guessed over the air as fast as a PNE lets one, photographed and used after their time, found by a tag played back. */
import assert from 'node:assert/strict';
import { encodeAnnouncement } from '../../../src/network/advertisement.ts';
import { parseEnrolmentCode } from '../../../src/security/enrolment-code.ts';
import { primitives } from '../../support/join.ts';
import { LinkEnded } from './dialogue.ts';
import type { RogueGateway } from './rogue-gateway.ts';
import { RoguePne } from './rogue-pne.ts';
import { Stage } from './stage.ts';

/** Whoever uses the places of strangers up has others race for one a second: a few rounds, with the back-off between them. */
const LIMIT_MS = 25_000;
const STRANGERS = 10;
const STRANGERS_AT_ONCE = 5;

describe('hostile on the air: enrolment codes', function () {
  this.timeout(60_000);
  let stage: Stage;
  let mallory: RogueGateway;

  before(async () => {
    stage = await Stage.open();
    mallory = await stage.mallory();
  });
  after(() => stage.close());

  const secretOf = (code: string) => parseEnrolmentCode(primitives, code).secret.slice();

  it('guesses: ten in ten seconds, none opens, and the home that knows the code still enrols', async () => {
    const { pne, address } = await stage.reopen('Guessed');
    const { code } = pne.startEnrolment();
    let opened = 0;
    let guessing = true;
    const startedAt = performance.now();
    const guess = async () => {
      while (guessing) {
        const gatt = await mallory.connect(address).catch(() => undefined);
        if (!gatt) continue;
        const ended = new Promise((resolve) => {
          gatt.onClose = resolve;
        });
        gatt.onSegment = () => {
          opened++;
          // A guess is an OPEN and an E1 under a wrong key; what it holds does not matter.
          void gatt.close();
        };
        await ended;
      }
    };
    const attack = guess();
    await stage.network.until(
      'all places that are free at once taken',
      () => opened >= STRANGERS_AT_ONCE,
      5_000,
    );
    await stage.home.pair(code);
    await pne.enrolled;
    const tookMs = performance.now() - startedAt;
    guessing = false;
    await attack;
    assert.ok(tookMs < LIMIT_MS, `${tookMs} ms`);
    assert.ok(opened <= (STRANGERS * (tookMs + 10_000)) / 10_000, `${opened} guesses in ${tookMs} ms`);
  });

  it('a wrong code opens nothing, and the code lives on', async () => {
    const { pne, address } = await stage.reopen('Wrong');
    const { code } = pne.startEnrolment();
    await stage.during(async () => {
      const dialogue = await mallory.open(address, { kind: 'enrol', secret: primitives.randomBytes(12) });
      await dialogue.opened();
      dialogue.send('EnrolOffer', new Uint8Array(64));
      await assert.rejects(dialogue.next(), LinkEnded);
      await stage.home.pair(code);
      await pne.enrolled;
    });
  });

  it('a photographed code: nothing after ten minutes, after a new one, after it was used: enrolment-code-spent', async () => {
    const victim = await stage.reopen('Photographed');
    const { pne, address } = victim;
    const spent = async (secret: Uint8Array) => {
      victim.rest();
      const dialogue = await mallory.open(address, { kind: 'enrol', secret: secret.slice() });
      dialogue.opened().catch(() => {});
      assert.equal(await dialogue.next().catch((error: LinkEnded) => error.status), 'enrolment-code-spent');
    };
    const outdated = secretOf(pne.startEnrolment().code);
    victim.rest(10 * 60_000);
    await spent(outdated);
    assert.equal(pne.status().owner, undefined);
    const { code } = pne.startEnrolment();
    const dialogue = await mallory.open(address, { kind: 'enrol', secret: outdated.slice() });
    await dialogue.opened();
    dialogue.send('EnrolOffer', new Uint8Array(64));
    await assert.rejects(dialogue.next(), LinkEnded);
    await stage.home.pair(code);
    await pne.enrolled;
    await spent(secretOf(code));
    assert.equal(pne.status().owner, 'Alice');
  });

  it('a find tag played back draws the home to a liar once; then it finds the PNE', async () => {
    const { pne } = await stage.reopen('Sought');
    await pne.close();
    const liar = await RoguePne.open(stage.network.radio);
    // The tag of a code that is shown: what the liar recorded of it.
    const again = await stage.reopen('Sought');
    const { code } = again.pne.startEnrolment();
    const said = { mode: 'pne', enrolSecret: secretOf(code), join: false, secrets: [], turn: 0 } as const;
    const hold = await mallory.connect(again.address);
    await liar.advertise(encodeAnnouncement(primitives, said));
    const paired = stage.home.pair(code);
    const gatt = await liar.nextLink();
    await gatt.close();
    await hold.close();
    const startedAt = performance.now();
    await Promise.all([paired, again.pne.enrolled]);
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs < LIMIT_MS, `${tookMs} ms`);
    await liar.close();
  });
});
