/** Every declaration: round trips, sizes against the byte budget, refusals, and mutated bytes. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { equal, fromHex, toHex } from '../../src/base/bytes.ts';
import { CpnsError } from '../../src/base/errors.ts';
import { GatewayId, JoinId, PnId, Thumbprint } from '../../src/base/ids.ts';
import { CATALOGUE } from '../../src/messages/catalogue.ts';
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from '../../src/messages/cbor.ts';
import { PneConfirmResponsePayload } from '../../src/messages/confirmation.ts';
import { GatewayCredentialPayload } from '../../src/messages/credential.ts';
import { EnrolClaimPayload, EnrolOfferPayload } from '../../src/messages/enrolment.ts';
import { formatHomeAddress, parseHomeAddress } from '../../src/messages/home-address.ts';
import { InventoryPayload, OutcomePayload } from '../../src/messages/inventory.ts';
import { Open } from '../../src/messages/link.ts';
import { signedBytes } from '../../src/messages/message.ts';
import { FreshnessPayload } from '../../src/messages/resumption.ts';
import {
  Abort,
  AuthenticationChallengePayload,
  AuthenticationResponsePayload,
  PnSetupRequestPayload,
  PnSetupResponse,
  padPnSetupResponse,
  unpadPnSetupResponse,
} from '../../src/messages/setup.ts';
import { MESSAGE_TYPES, messageName, messageType } from '../../src/messages/types.ts';
import { readCbor } from './cbor-reader.ts';
import { check, malformed } from './helpers.ts';
import { b, SAMPLES } from './samples.ts';

const pnId = PnId(b(8));
const gatewayId = GatewayId(b(8));
const thumbprint = Thumbprint(b(32));
const key = { x: b(32), y: true };

describe('every declaration', () => {
  it('has samples', () => {
    const names = CATALOGUE.flatMap(({ messages }) => messages.map(({ name }) => name));
    assert.deepEqual(SAMPLES.map(({ message }) => message.name).sort(), names.sort());
    assert.equal(new Set(names).size, names.length);
  });

  for (const { message, minimal, maximal } of SAMPLES) {
    it(`${message.name} round-trips a minimal and a maximal value`, () => {
      for (const value of [minimal, maximal]) {
        const bytes = message.encode(value);
        assert.deepEqual(message.decode(bytes), value);
        assert.deepEqual(message.encode(message.decode(bytes)), bytes);
        assert.deepEqual(encodeCbor(readCbor(bytes)), bytes, 'second decoder');
        assert.equal(message.measure(value), bytes.length);
      }
      const longest = message.encode(maximal).length;
      if (message.info.maxBytes === undefined || message.info.maxBytes > message.maxBytes)
        assert.equal(longest, message.maxBytes, 'the derived bound is reached');
      else assert.ok(longest <= message.maxBytes && longest > 0.98 * message.maxBytes);
      assert.ok(message.depth <= 8);
    });

    it(`${message.name} refuses more than its size, an unknown key, and what is no map`, () => {
      assert.throws(() => message.decode(new Uint8Array(message.maxBytes + 1)), { status: 'oversize' });
      const entries = decodeCbor(message.encode(minimal)) as CborMap;
      const wider = encodeCbor(new Map<number | string, CborValue>([...entries, [1000, 0]]));
      assert.throws(() => message.decode(wider), CpnsError);
      for (const hex of ['', '80', '00', 'f6', 'a1', 'a0a0']) {
        const other = fromHex(hex);
        assert.throws(() => message.decode(other), CpnsError);
      }
    });

    it(`${message.name} without any one of its keys is refused, or is still canonical`, () => {
      const entries = [...(decodeCbor(message.encode(maximal)) as CborMap)];
      for (const [gone] of entries) {
        const bytes = encodeCbor(new Map(entries.filter(([one]) => one !== gone)));
        accepts(message.name, bytes);
      }
    });
  }

  /** Decodes; whatever is thrown must be a CpnsError, and what is accepted must encode to the same bytes. */
  function accepts(name: string, bytes: Uint8Array): void {
    const message = SAMPLES.find((one) => one.message.name === name)?.message;
    assert.ok(message);
    let value: unknown;
    try {
      value = message.decode(bytes);
    } catch (error) {
      assert.ok(error instanceof CpnsError, `${name}: ${String(error)}`);
      assert.ok(error.status === 'malformed' || error.status === 'oversize');
      assert.match(error.message, new RegExp(`^(malformed|oversize): ${name}\\b`));
      return;
    }
    const again = message.encode(value);
    if (!message.lossy) assert.ok(equal(again, bytes), `${name} accepted other bytes than it writes`);
  }

  it('turns mutated bytes into a CpnsError or into the same bytes again', function () {
    this.timeout(30_000);
    const change = fc.record({
      kind: fc.constantFrom('set', 'insert', 'delete', 'truncate'),
      place: fc.nat(),
      byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0x18, 0x1b, 0x9f, 0xa1, 0xc0, 0xf6, 0xff)),
    });
    check(
      fc.property(
        fc.constantFrom(...SAMPLES),
        fc.boolean(),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        ({ message, minimal, maximal }, least, changes) => {
          const bytes = [...message.encode(least ? minimal : maximal)];
          for (const { kind, place, byte } of changes) {
            // Half of the places near the start, where the structure is.
            const at = place % (place % 2 === 0 ? bytes.length + 1 : Math.min(bytes.length, 40) + 1);
            if (kind === 'set') bytes.splice(at, 1, byte);
            else if (kind === 'insert') bytes.splice(at, 0, byte);
            else if (kind === 'delete') bytes.splice(at, 1);
            else bytes.length = at;
          }
          accepts(message.name, Uint8Array.from(bytes));
        },
      ),
      20_000,
    );
  });

  it('never reads random bytes as anything but a CpnsError or a canonical message', () => {
    check(
      fc.property(fc.constantFrom(...SAMPLES), fc.uint8Array({ maxLength: 60 }), ({ message }, bytes) =>
        accepts(message.name, bytes),
      ),
      5000,
    );
  });
});

describe('messages in particular', () => {
  it('puts the private claim of a credential behind the registered ones', () => {
    const bytes = GatewayCredentialPayload.encode({
      expiresAt: 1,
      gatewayId,
      confirmation: { key },
      labels: { role: 'gateway', user: 'u', gateway: 'g' },
    });
    const x = `5820${'07'.repeat(32)}`;
    assert.equal(
      toHex(bytes),
      `a40401${'0748'}${'07'.repeat(8)}08a101a40102200121${x}22f5${'3a00010000'}830261756167`,
    );
  });

  it('fits signed messages into the places that carry them', () => {
    const inside = (payload: { maxBytes: number }, kid: boolean, place: number) =>
      assert.ok(signedBytes(payload.maxBytes, kid) <= place);
    inside(GatewayCredentialPayload, true, 400);
    inside(PnSetupRequestPayload, false, 1024);
    inside(PnSetupResponse, false, 2048);
    inside(AuthenticationChallengePayload, true, 256);
    inside(AuthenticationResponsePayload, false, 256);
    inside(OutcomePayload, true, 256);
    inside(FreshnessPayload, true, 256);
    inside(PneConfirmResponsePayload, false, 512);
    inside(EnrolOfferPayload, false, 2048);
    inside(EnrolClaimPayload, false, 2048);
    assert.equal(signedBytes(InventoryPayload.maxBytes, true), 7168);
  });

  it('pads step 2 to whole segments, and reads it back', () => {
    const record = (body: number) => padPnSetupResponse(b(body)).length + 17;
    assert.deepEqual([1, 128, 226].map(record), [243, 243, 243]);
    assert.deepEqual([227, 467].map(record), [484, 484]);
    assert.deepEqual([468, 710, 711].map(record), [727, 727, 970]);
    assert.throws(() => padPnSetupResponse(b(2048)), TypeError);
    const body = PnSetupResponse.encode({ status: 'busy' });
    const padded = padPnSetupResponse(body);
    const back = unpadPnSetupResponse(padded);
    assert.deepEqual(back, body);
    assert.equal(back.buffer.byteLength, body.length);
    padded[padded.length - 1] = 1;
    assert.throws(() => unpadPnSetupResponse(padded), malformed(/padding is not zero/));
    assert.throws(
      () => unpadPnSetupResponse(new Uint8Array(0)),
      malformed(/PnSetupResponse, byte 0: truncated/),
    );
  });

  it('tells join from decline by the status, and both by their keys', () => {
    const join = { status: 'ok', capability: b(1), homeAddress: '', thumbprint } as const;
    const entries = decodeCbor(PnSetupResponse.encode(join)) as CborMap;
    const as = (code: number) => encodeCbor(new Map<number | string, CborValue>([...entries, [1, code]]));
    assert.deepEqual(PnSetupResponse.decode(as(0)), join);
    assert.throws(() => PnSetupResponse.decode(as(16)), malformed(/PnSetupResponse: unknown key/));
    for (const code of [15, 20, 32, 53, 127, -1])
      assert.throws(
        () => PnSetupResponse.decode(as(code)),
        malformed(/PnSetupResponse\.status: no alternative/),
      );
    assert.throws(() => PnSetupResponse.decode(fromHex('a10100')), malformed(/capability: missing/));
    assert.throws(() => PnSetupResponse.decode(fromHex('a0')), malformed(/status: missing/));
    assert.throws(() => PnSetupResponse.encode({ status: 'internal' }), TypeError);
  });

  it('wants rid with kind 3 and with no other', () => {
    const base = {
      versions: [1],
      suites: [1],
      role: 'gateway',
      segmentBytes: 20,
      credits: 1,
      ephemeral: b(32),
    } as const;
    assert.throws(() => Open.encode({ ...base, kind: 'resume' }), TypeError);
    assert.throws(() => Open.encode({ ...base, rid: b(8) }), TypeError);
    assert.throws(() => Open.encode({ ...base, kind: 'enrol', rid: b(8) }), TypeError);
    const bytes = Open.encode({ ...base, kind: 'resume', rid: b(8) });
    const entries = [...(decodeCbor(bytes) as CborMap)];
    const without = (gone: number) => encodeCbor(new Map(entries.filter(([one]) => one !== gone)));
    assert.throws(() => Open.decode(without(8)), malformed(/Open: rid goes with kind 3/));
    assert.throws(() => Open.decode(without(7)), malformed(/Open: rid goes with kind 3/));
  });

  it('refuses two answers of yes with a reason, and a yes without a subscription', () => {
    const no = { yours: true, chargeable: true, reason: 'user-refused', decidedAt: 1 } as const;
    assert.throws(() => PneConfirmResponsePayload.encode(no), TypeError);
    const bytes = (reason: number) =>
      encodeCbor(
        new Map<number, CborValue>([
          [1, true],
          [2, true],
          [3, reason],
          [6, 1],
        ]),
      );
    assert.throws(() => PneConfirmResponsePayload.decode(bytes(74)), malformed(/both answers are yes/));
    assert.throws(() => PneConfirmResponsePayload.decode(bytes(0)), malformed(/subscription: missing/));
  });

  it('wants the members of an inventory by handle, each once', () => {
    const of = (...handles: number[]) => ({
      pnId,
      version: 1,
      issuedAt: 0,
      gatewayId,
      name: 'n',
      members: handles.map((handle) => ({ handle, joinId: JoinId(b(16)), capability: b(0) })),
    });
    InventoryPayload.encode(of(1, 3, 9));
    assert.throws(() => InventoryPayload.encode(of(2, 1)), TypeError);
    assert.throws(() => InventoryPayload.encode(of(2, 2)), TypeError);
    assert.throws(() => InventoryPayload.encode(of()), TypeError);
  });

  it('measures an inventory that is too long, and does not write it', () => {
    const members = Array.from({ length: 32 }, (_, i) => ({
      handle: i + 1,
      joinId: JoinId(b(16)),
      capability: b(512),
    }));
    const value = { pnId, version: 1, issuedAt: 0, gatewayId, name: 'n', members };
    assert.ok(InventoryPayload.measure(value) > InventoryPayload.maxBytes);
    assert.throws(() => InventoryPayload.encode(value), TypeError);
  });

  it('reads an unknown status as internal where the declaration says so, and refuses it elsewhere', () => {
    assert.deepEqual(Abort.decode(fromHex('a101187f')), { status: 'internal' });
    assert.throws(() => Abort.decode(fromHex('a10100')), malformed(/Abort\.status/));
    assert.throws(() => Abort.decode(fromHex('a1011880')), malformed(/Abort\.status/));
    const no = (reason: number) =>
      encodeCbor(
        new Map<number, CborValue>([
          [1, false],
          [2, false],
          [3, reason],
          [6, 1],
        ]),
      );
    assert.throws(() => PneConfirmResponsePayload.decode(no(127)), malformed(/reason: no alternative/));
  });

  it('reads and writes home addresses', () => {
    const text = '0123456789abcdef@home.example';
    const address = parseHomeAddress(text);
    assert.deepEqual(address, { gatewayId: GatewayId(fromHex('0123456789abcdef')), realm: 'home.example' });
    assert.equal(formatHomeAddress(address), text);
    for (const wrong of [
      '',
      '@',
      '0123456789abcdef',
      '0123456789abcdef@',
      '0123456789ABCDEF@a',
      '0123456789abcde@a',
      '0123456789abcdef@A',
      '0123456789abcdef@-a',
      '0123456789abcdef@a b',
      '0123456789abcdef@a@b',
      `0123456789abcdef@${'a'.repeat(48)}`,
      '0123456789abcdef@a\n',
    ])
      assert.throws(() => parseHomeAddress(wrong), { status: 'home-address-malformed' });
    assert.throws(() => formatHomeAddress({ ...address, realm: 'A' }), TypeError);
  });

  it('has one type byte a message', () => {
    const types = Object.values(MESSAGE_TYPES).map(({ type }) => type);
    assert.equal(new Set(types).size, types.length);
    assert.equal(messageType('PnSetupNotify'), 13);
    assert.equal(messageName(13), 'PnSetupNotify');
    assert.equal(messageName(3), undefined);
  });
});
