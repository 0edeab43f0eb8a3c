/** Somebody who holds the one link of a PNE for as long as it lets him, and takes it again at once: others are served between. */
import assert from 'node:assert/strict';
import { cleanUp, newPeripheral, newRadio } from '../../bluetooth/support.ts';
import { RawHost } from './raw-host.ts';
import { Stage } from './stage.ts';

/** A hold is 2 s without an OPEN; a few of them, the strangers' places one a second, and back-off of the gateway's own. */
const LIMIT_MS = 25_000;

describe('hostile on the air: the one link of a PNE', function () {
  this.timeout(60_000);

  it('without a subscription it is held less and less: the whole deadline, a half, a quarter, a fifth', async () => {
    const deadlineMs = 600;
    const radio = await newRadio();
    await newPeripheral(radio, 1, { subscribeDeadlineMs: deadlineMs });
    const [controller] = radio.radio.controllers;
    const host = new RawHost(radio);
    const held: number[] = [];
    for (let time = 0; time < 5; time++) {
      host.connect(controller?.addresses()[0] ?? '');
      await host.connected();
      const startedAt = performance.now();
      await host.disconnected();
      held.push((performance.now() - startedAt) / deadlineMs);
    }
    host.close();
    await cleanUp();
    for (const [time, share] of [1, 1 / 2, 1 / 4, 1 / 5, 1 / 5].entries()) {
      const part = held[time] ?? 0;
      assert.ok(part > share - 0.1 && part < share + 0.5, `${time}: ${held.join(', ')}`);
    }
  });

  it('with a subscription and nothing after it, again and again: an honest gateway comes in between', async () => {
    const stage = await Stage.open();
    try {
      const mallory = await stage.mallory();
      const { pne, address } = await stage.reopen('Held', { ask: async () => 'ok' });
      let holds = 0;
      let holding = true;
      const hold = async () => {
        while (holding) {
          const gatt = await mallory.connect(address).catch(() => undefined);
          if (!gatt) continue;
          holds++;
          await new Promise((resolve) => {
            gatt.onClose = resolve;
          });
        }
      };
      const attack = hold();
      await stage.network.until('held', () => holds > 0);
      const startedAt = performance.now();
      await stage.enrol(pne);
      await stage.network.until('membership', () => pne.status().memberships.length === 1, LIMIT_MS);
      const tookMs = performance.now() - startedAt;
      holding = false;
      await pne.close();
      await mallory.central.close();
      await attack;
      assert.ok(tookMs < LIMIT_MS, `${tookMs} ms with ${holds} holds`);
    } finally {
      await stage.close();
    }
  });
});
