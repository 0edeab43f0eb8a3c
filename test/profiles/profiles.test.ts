/** The profiles that are shipped, their schema, what follows from one, and files that are wrong. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as v from 'valibot';
import { deviceCapability } from '../../src/config/capability.ts';
import { decodeCbor } from '../../src/messages/cbor.ts';
import { LIMITS } from '../../src/messages/common.ts';
import {
  findProfile,
  loadProfiles,
  profileFolder,
  readProfile,
  shippedProfiles,
} from '../../src/profiles/load.ts';
import { type Profile, ProfileSchema } from '../../src/profiles/schema.ts';
import { settingsOf } from '../../src/profiles/settings.ts';

const generic = findProfile('generic');
const scratch = mkdtempSync(join(tmpdir(), 'cpns-profiles-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

function generated(script: string): void {
  const run = spawnSync(process.execPath, ['--import', 'tsx', script, '--check'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
}

/** A shipped profile with something else in one place. */
function changed(name: string, change: (profile: Record<string, Record<string, unknown>>) => void): unknown {
  const copy = structuredClone(findProfile(name)) as unknown as Record<string, Record<string, unknown>>;
  change(copy);
  return copy;
}

describe('shipped firmware profiles', () => {
  it('there is one for each kind of device that is promised', () => {
    const pis = ['zero-w', 'zero-2-w', '3b', '3b-plus', '4b', '5', 'cm4'].map(
      (name) => `raspberry-pi-${name}`,
    );
    const usb = ['csr8510', 'csr-clone', 'bcm20702', 'rtl8761b', 'intel-ax2xx', 'nrf52840-zephyr'];
    const wanted = [...pis, ...usb, 'virtual-radio', 'btvirt', 'generic'].toSorted();
    assert.deepEqual(
      shippedProfiles().map(({ name }) => name),
      wanted,
    );
  });

  it('sources in this project exist', () => {
    for (const { name, sources } of shippedProfiles()) {
      for (const { where } of Object.values(sources)) {
        assert.ok(where.startsWith('https://') || existsSync(where), `${name}: ${where}`);
      }
    }
  });

  it('two profiles never claim the same USB id by that alone', () => {
    const seen = new Map<string, string>();
    for (const { name, match } of shippedProfiles()) {
      for (const { usb = [], csrFirmware } of match) {
        for (const id of usb) {
          const key = `${id} ${csrFirmware ?? ''}`;
          assert.equal(seen.get(key), undefined, key);
          seen.set(key, name);
        }
      }
    }
  });

  it('the JSON Schema is what the schema says (npx tsx scripts/generate-profile-schema.ts)', () => {
    generated('scripts/generate-profile-schema.ts');
    assert.match(readFileSync(join(profileFolder(), 'profile.schema.json'), 'utf8'), /additionalProperties/);
  });

  it('docs/firmware-profiles.md is what the profiles say (npx tsx scripts/generate-docs.ts)', () => {
    generated('scripts/generate-docs.ts');
  });

  it('are in the npm package, with what reads them from dist', () => {
    const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] };
    assert.ok(files.includes('firmware-profiles'));
  });
});

describe('the schema of a profile', () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['an unknown key', changed('btvirt', (p) => Object.assign(p, { colour: 'red' })), /colour/],
    [
      'a fact without a source',
      changed('btvirt', (p) => Object.assign(p['radio'] ?? {}, { links: { value: 3 } })),
      /links/,
    ],
    [
      'a source that is not there',
      changed('btvirt', (p) =>
        Object.assign(p['radio'] ?? {}, { links: { value: 3, why: 'x', sources: ['nobody'] } }),
      ),
      /nobody/,
    ],
    [
      'a source that nothing cites',
      changed('btvirt', (p) =>
        Object.assign(p['sources'] ?? {}, { extra: { where: 'https://a.b', says: 'x' } }),
      ),
      /extra/,
    ],
    [
      'a quirk without an effect',
      changed('btvirt', (p) => Object.assign(p, { quirks: [{ name: 'odd', why: 'x', sources: ['guest'] }] })),
      /quirks/,
    ],
    [
      'an interval the wrong way round',
      changed('generic', (p) =>
        Object.assign(p['connection'] ?? {}, {
          intervalMs: { value: { least: 20, most: 15 }, why: 'x', sources: ['bench', 'habluetooth'] },
        }),
      ),
      /least is over most/,
    ],
    ['a page in place of a profile', '<html>', /Object/],
  ];
  for (const [what, profile, expected] of wrong) {
    it(`refuses ${what}`, () => {
      const result = v.safeParse(ProfileSchema, profile);
      assert.equal(result.success, false);
      const said = (result.issues ?? [])
        .map((issue) => `${v.getDotPath(issue) ?? ''} ${issue.message}`)
        .join('\n');
      assert.match(said, expected);
    });
  }

  it('a folder with files that are wrong is refused with each of them named', () => {
    writeFileSync(join(scratch, 'a.json'), '{');
    writeFileSync(join(scratch, 'b.json'), JSON.stringify(findProfile('btvirt')));
    assert.throws(() => loadProfiles(scratch), /a\.json: [\s\S]*b\.json: name: "btvirt" in a file called b/);
    assert.equal(readProfile(join(scratch, 'missing.json')).profile, undefined);
  });

  it('takes anything without throwing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        writeFileSync(join(scratch, 'any.json'), JSON.stringify(value));
        assert.ok(readProfile(join(scratch, 'any.json')).faults.length > 0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('settings of a profile', () => {
  it('what a profile does not know is as in the generic one', () => {
    const {
      profile: _p,
      warnings: _w,
      channel: _c,
      waitAfterResetMs: _r,
      ...cm4
    } = settingsOf(findProfile('raspberry-pi-cm4'), generic, '6.1.0');
    const {
      profile: _q,
      warnings: _x,
      channel: _d,
      waitAfterResetMs: _s,
      ...any
    } = settingsOf(generic, generic, '6.1.0');
    assert.deepEqual(cm4, { ...any, supervisionTimeoutMs: 4000 });
  });

  it('every field of a profile that has a value arrives', () => {
    const settings = settingsOf(findProfile('btvirt'), generic, null);
    assert.deepEqual(
      { ...settings, channel: settings.channel.use, intervalMs: undefined, supervisionTimeoutMs: undefined },
      {
        ...{
          profile: 'btvirt',
          links: 1,
          aclBuffers: { bytes: 192, count: 1 },
          dataLength: 27,
          phys: undefined,
        },
        ...{ channel: 'user', intervalMs: undefined, supervisionTimeoutMs: undefined, scanSilenceMs: 10_000 },
        ...{ settleMs: 0, waitAfterResetMs: 0, optionalCommands: true, warnings: [] },
      },
    );
    assert.deepEqual(settingsOf(findProfile('nrf52840-zephyr'), generic, null).phys, ['1M', '2M']);
    assert.equal(settingsOf(findProfile('bcm20702'), generic, null).waitAfterResetMs, 100);
    assert.equal(settingsOf(findProfile('csr-clone'), generic, null).optionalCommands, false);
  });

  it('rules of kernels: from, below, numbers and not texts, and none for a kernel that is not known', () => {
    const why = (name: string, kernel: string | null) =>
      settingsOf(findProfile(name), generic, kernel).channel.why;
    assert.match(why('generic', '6.1.0-56-amd64'), /6\.1/);
    assert.doesNotMatch(why('generic', '6.12.1'), /6\.1/);
    assert.match(why('raspberry-pi-4b', '6.12.93+rpt-rpi-v8'), /advertise/);
    assert.doesNotMatch(why('raspberry-pi-4b', '6.2.0'), /advertise/);
    const warnings = (kernel: string | null) =>
      settingsOf(findProfile('rtl8761b'), generic, kernel).warnings.length;
    assert.deepEqual(['5.15.0', '6.0.9', '6.1.0', '6.12.1', 'junk', null].map(warnings), [1, 1, 0, 0, 0, 0]);
  });

  it('a rule can say raw', () => {
    const raw = structuredClone(findProfile('btvirt')) as Profile;
    raw.radio.channel.push({
      use: 'raw',
      why: 'test',
      sources: ['guest'],
      kernelFrom: '4.0',
      kernelBelow: '5.0',
    });
    assert.deepEqual(settingsOf(raw, generic, '4.19.0').channel, { use: 'raw', why: 'test' });
    assert.equal(settingsOf(raw, generic, '5.0.0').channel.use, 'user');
  });
});

describe('what a PNE says of itself', () => {
  const nothing = { kind: undefined, model: undefined, capability: undefined };
  const said = (device: Parameters<typeof deviceCapability>[0], name: string) =>
    Object.fromEntries(decodeCbor(deviceCapability(device, findProfile(name))) as Map<string, unknown>);

  it('without a configuration: kind, model and radio of the profile', () => {
    const { radio, ...rest } = said(nothing, 'raspberry-pi-3b');
    assert.deepEqual(rest, { class: 'single-board-computer', model: 'Raspberry Pi 3 Model B' });
    assert.deepEqual(Object.fromEntries(radio as Map<string, unknown>), {
      ...{ chip: 'BCM43430A1', bluetooth: '4.1', octets: 27, phys: ['1M'] },
    });
    assert.deepEqual(said(nothing, 'intel-ax2xx'), { class: 'device' });
  });

  it('the configuration goes first: its kind and model, or its whole capability', () => {
    const headset = said({ ...nothing, kind: 'headset', model: 'Acme H1' }, 'raspberry-pi-3b');
    assert.deepEqual([headset['class'], headset['model']], ['headset', 'Acme H1']);
    const own = Uint8Array.of(1, 2, 3);
    assert.deepEqual(deviceCapability({ ...nothing, capability: own }, generic), own);
  });

  it('fits its bound whatever kind and model the configuration may hold', () => {
    const longest = { kind: '€'.repeat(32), model: '€'.repeat(64), capability: undefined };
    for (const profile of shippedProfiles()) {
      assert.ok(deviceCapability(longest, profile).length <= LIMITS.capability, profile.name);
    }
  });
});
