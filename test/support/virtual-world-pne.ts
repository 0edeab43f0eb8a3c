/**
 * A PNE in the virtual world: the real machines and the real store in memory, put together as src/nodes/pne/pne.ts does.
 * Announces itself to the gateways in the air, takes one link at a time, answers questions as the test says.
 */
import { type Bytes, toHex } from '../../src/base/bytes.ts';
import type { Status } from '../../src/base/statuses.ts';
import { PNE_ENROL_MACHINE } from '../../src/enrolment/pne.ts';
import { Machine } from '../../src/establishment/machine.ts';
import { PNE_MACHINE, serverTimeAt } from '../../src/establishment/pne.ts';
import type { PneAction, PneState } from '../../src/establishment/pne-table.ts';
import type {
  DeclineStatus,
  Floor,
  PneInput,
  PneOutput,
  PneSession,
} from '../../src/establishment/pne-types.ts';
import { PnSetupResponse, unpadPnSetupResponse } from '../../src/messages/setup.ts';
import type { MessageName } from '../../src/messages/types.ts';
import { encodeAnnouncement } from '../../src/network/advertisement.ts';
import type { Opened } from '../../src/nodes/link-session.ts';
import { type Owner, PoweredClock, readFloor, readOwner } from '../../src/nodes/pne/trust.ts';
import { coseKeyOf, thumbprintOf } from '../../src/security/cose-key.ts';
import { createEnrolmentCode } from '../../src/security/enrolment-code.ts';
import type { SoftwareSigner } from '../../src/security/keystore.ts';
import { openPneStore } from '../../src/store/pne-store.ts';
import type { VirtualWorld } from './virtual-world.ts';
import { VirtualDriver } from './virtual-world-driver.ts';
import { type SessionMachine, type VirtualGatt, VirtualSession } from './virtual-world-link.ts';
import { seededSigner } from './virtual-world-operator.ts';

/** A gateway that listens. */
export interface Listener {
  see(pne: VirtualPne, serviceData: Bytes): void;
}

export class VirtualPne {
  readonly world: VirtualWorld;
  readonly name: string;
  readonly signer: SoftwareSigner;
  readonly store = openPneStore(':memory:');
  readonly capability: Bytes;
  /** How its user or policy answers. */
  answer: 'ok' | DeclineStatus = 'ok';
  answerAfterMs = 5;
  /** What it says of its home in place of the truth. */
  homeAddress: string | undefined;
  /** What it learns of its attempts: what it declined with, what the server refused with, how links ended. */
  readonly statuses: Status[] = [];
  readonly broken = new Set<string>();
  instead: ((message: MessageName, body: Bytes) => Bytes | undefined) | undefined;
  /** th3 of every join for which step 6 was signed and handed to the link, in hex. */
  readonly signed = new Set<string>();
  readonly air: readonly Listener[];
  session: VirtualSession | undefined;
  linkUp = false;
  /** Advertising at all. */
  inAir = true;
  /** What it advertises now. */
  advertised: Bytes | undefined;
  #on = true;
  #powered: PoweredClock;
  #floor: Floor;
  #owner: Owner | undefined;
  #codeSecret: Bytes | undefined;
  #turn = 0;

  constructor(world: VirtualWorld, name: string, air: readonly Listener[]) {
    this.world = world;
    this.name = name;
    this.air = air;
    this.signer = seededSigner(world.primitives);
    this.capability = world.primitives.randomBytes(60);
    this.#powered = new PoweredClock(world.clock, 0);
    this.#floor = readFloor(this.store, world.clock);
  }

  get thumbprint() {
    return thumbprintOf(this.world.primitives, this.signer.publicKey);
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  /** Shows a code. @returns its text */
  showCode(): string {
    this.#codeSecret = this.world.primitives.randomBytes(12);
    this.store.forgetCode();
    this.announce();
    return createEnrolmentCode(this.world.primitives, 'pne', this.thumbprint, this.#codeSecret);
  }

  announce(): void {
    this.advertised = undefined;
    if (!this.#on || this.linkUp || !this.inAir) return;
    const joins = this.store.joins();
    const secrets = [...joins.map(({ rms }) => rms), ...(this.#owner ? [this.#owner.homeRms] : [])];
    const data = encodeAnnouncement(this.world.primitives, {
      ...{
        mode: 'pne',
        enrolSecret: this.#codeSecret,
        join: this.#owner !== undefined,
        secrets,
        turn: this.#turn++,
      },
    });
    this.advertised = data;
    for (const listener of this.air) this.beSeen(listener);
    // More candidates than places: the others are shown under the next salt.
    if (secrets.length > 2) this.world.after(30_000, 'salt', () => this.announce());
  }

  /** A listener gets the next advertisement, if there is one. */
  beSeen(listener: Listener): void {
    this.world.after(this.world.between([20, 200]), 'advertisement', () => {
      if (this.advertised) listener.see(this, this.advertised);
    });
  }

  /** @returns whether the PNE takes the link */
  accept(gatt: VirtualGatt): boolean {
    if (!this.#on || this.linkUp) return false;
    this.linkUp = true;
    this.advertised = undefined;
    const joins = this.store.joins();
    const { primitives } = this.world;
    const session = new VirtualSession({
      ...{ gatt, who: this.name, signer: this.signer },
      instead: (message, body) => this.#said(message, body),
      link: {
        ...{ side: 'peripheral', role: 'pne', transportSegmentBytes: gatt.segmentBytes, primitives },
        ephemeral: primitives.generateEphemeral(),
        accept: {
          establish: this.#owner !== undefined,
          ...(this.#codeSecret && { enrolSecret: this.#codeSecret.slice() }),
          sessions: joins.map((known) => ({ rms: known.rms.slice(), ref: toHex(known.th3) })),
        },
      },
      start: (opened, started) =>
        opened.linkKind === 'enrol' ? this.#enrol(opened, started) : this.#establish(opened, started),
      onEnd: (status) => {
        this.#down();
        this.statuses.push(status);
        this.world.say(this.name, `link down: ${status}`);
      },
    });
    this.session = session;
    return true;
  }

  /** Killed and started again: only what is on disk is left. */
  restart(): void {
    this.world.say(this.name, 'restart');
    this.session?.kill();
    this.#owner = readOwner(this.store, this.world.primitives);
    this.#powered = new PoweredClock(this.world.clock, this.store.clock().poweredSeconds);
    this.#floor = readFloor(this.store, this.world.clock);
    this.#codeSecret = undefined;
    this.#down();
  }

  powerOff(): void {
    this.#on = false;
    this.advertised = undefined;
    this.session?.stop();
  }

  #down(): void {
    this.linkUp = false;
    this.session = undefined;
    this.announce();
  }

  #said(message: MessageName, body: Bytes): Bytes | undefined {
    const said = this.instead ? this.instead(message, body) : body;
    if (message === 'PnSetupResponse' && said === body) {
      const { status } = PnSetupResponse.decode(unpadPnSetupResponse(body));
      if (status !== 'ok') this.statuses.push(status);
    }
    return said;
  }

  #enrol(opened: Opened, session: VirtualSession): SessionMachine {
    const { epoch, spentOn } = this.store.enrolmentCode();
    const machine = new Machine(
      PNE_ENROL_MACHINE,
      {
        ...{ primitives: this.world.primitives, publicKey: this.signer.publicKey },
        ...{ coseKey: coseKeyOf(this.signer.publicKey), pneId: this.name, capability: this.capability },
        ...{ epoch: epoch + 1, spentOn },
      },
      PNE_ENROL_MACHINE.initial,
      this.world.nowMs,
    );
    const driver = new VirtualDriver(
      this.world,
      machine,
      {
        ...session.effects,
        persistSpent: (out) => this.store.spendCode(out.gatewayThumbprint, out.epoch),
        compare: ({ digits }) => this.world.say(this.name, `shows ${digits}`),
        persistOwnership: ({ ownership }) => {
          const { offer, userLabel, epoch: claimed, rms, serverTime } = ownership;
          const stored = { offer, userLabel, epoch: claimed, homeRms: rms, serverKeysStatement: undefined };
          this.store.saveOwnership(stored, serverTime, this.#powered.seconds);
          this.#owner = readOwner(this.store, this.world.primitives);
          this.#floor = { serverTime, atMs: this.world.nowMs };
          this.#codeSecret = undefined;
        },
        enrolled: () => this.world.say(this.name, 'enrolled'),
      },
      (kind) => this.broken.has(kind),
    );
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1 });
    return driver as SessionMachine;
  }

  #establish(opened: Opened, session: VirtualSession): SessionMachine {
    const owner = this.#owner;
    if (!owner) throw new Error('a link was taken that should not be');
    const joins = this.store.joins();
    const report = ({
      kind,
      join,
    }: Extract<PneOutput, { readonly kind: 'joined' | 'resumed' | 'updated' }>) =>
      this.world.say(this.name, `${kind} v${join.version}`);
    const machine = new Machine<PneSession, PneState, PneInput, PneOutput, PneAction>(
      PNE_MACHINE,
      {
        primitives: this.world.primitives,
        identity: {
          ...{
            thumbprint: this.thumbprint,
            homeAddress: this.homeAddress ?? owner.homeAddress,
            capability: this.capability,
          },
          ...{ contents: undefined, pneId: this.name },
        },
        ...{ serverKeys: owner.serverKeys, floor: this.#floor, joins },
      },
      PNE_MACHINE.initial,
      this.world.nowMs,
    );
    const driver = new VirtualDriver(
      this.world,
      machine,
      {
        ...session.effects,
        send: (out) => {
          if (out.message === 'AuthenticationResponse' && machine.data.join)
            this.signed.add(toHex(machine.data.join.th3));
          session.effects.send(out);
        },
        ask: () => {
          this.world.after(this.answerAfterMs, 'answer of the PNE', () =>
            driver.feed({ kind: 'decided', status: this.answer }),
          );
        },
        persistPending: (out) => {
          this.#floor = out.floor;
          this.store.savePending(out.join, this.#serverTime(out.floor), this.#powered.seconds);
        },
        forgetPending: (out) => this.store.forgetPending(out.th3),
        persistMember: (out) => this.store.saveMember(out.join, out.inventory, this.#powered.seconds),
        persistFloor: (out) => {
          this.#floor = out.floor;
          this.store.saveFloor(this.#serverTime(out.floor), this.#powered.seconds - out.ageSeconds, out.th3);
        },
        persistServerKeys: (out) => {
          this.store.saveServerKeys(out.statement);
          this.#owner = readOwner(this.store, this.world.primitives);
        },
        joined: report,
        resumed: report,
        updated: report,
        refused: (out) => {
          this.statuses.push(out.status);
          this.world.say(this.name, `refused: ${out.status}`);
        },
        data: () => this.world.say(this.name, 'data'),
      },
      (kind) => this.broken.has(kind),
    );
    const known = joins.find(({ th3 }) => toHex(th3) === opened.sessionRef);
    driver.feed({ kind: 'opened', th1: opened.th1, prk1: opened.prk1, join: known });
    return driver as SessionMachine;
  }

  #serverTime(floor: Floor): number {
    return serverTimeAt(floor, this.world.nowMs);
  }
}
