/** Every check of the doctor's table as pure logic: the facts that bring it up, and a host on which nothing is wrong. */
import assert from 'node:assert/strict';
import { fillIn } from '../../src/doctor/check.ts';
import {
  CHECKS,
  type CheckId,
  checkOf,
  type Finding,
  isFailure,
  severityOf,
} from '../../src/doctor/checks.ts';
import { type Facts, type ProcessFact, seen, unseen } from '../../src/doctor/facts.ts';
import { commandOf } from '../../src/doctor/fix.ts';
import { judge } from '../../src/doctor/judge.ts';
import { isOlder } from '../../src/doctor/judge-host.ts';
import { ADAPTER, GATEWAY, HOST, KERNEL, PNE, spoiled, WELL, WIFI } from './facts.ts';

const RAW = 'hci:0/raw';
const INFO = {
  ...{ address: 'dc:a6:32:00:00:01', manufacturer: 305, lowEnergy: true, advertising: false },
};
const daemon = (pid: number, more: Partial<ProcessFact> = {}): ProcessFact => ({
  ...{ pid, name: 'blescan', unit: undefined, own: false, ...more },
});
const inRaw = (facts: Facts): Facts =>
  spoiled({ role: { adapter: RAW }, adapter: { up: seen(true) } }, facts);
const joins = (count: number) => Array.from({ length: count }, () => ({ state: 'live' }));

interface Row {
  readonly check: CheckId;
  readonly facts: Facts;
  /** Moniker on the command line. */
  readonly adapter?: string;
  /** What the sentence has to say. */
  readonly says?: RegExp;
  readonly command?: string;
  readonly severity?: string;
}

const ROWS: readonly Row[] = [
  {
    check: 'node-too-old',
    facts: spoiled({ host: { node: { version: '20.18.9', path: '/n' } } }),
    says: /Node\.js 20\.18\.9; cpns needs 20\.19\.0/,
  },
  {
    check: 'bluetooth-not-built',
    facts: spoiled({ host: { nativeFaults: { '@abandonware/bluetooth-hci-socket': 'ENOBINDING' } } }),
    command: 'sudo apt-get install -y build-essential python3 && npm rebuild',
  },
  { check: 'sqlite-not-built', facts: spoiled({ host: { nativeFaults: { 'better-sqlite3': 'ENOENT' } } }) },
  {
    check: 'no-permission',
    facts: spoiled({ host: { capabilities: seen({ netRaw: true, netAdmin: false }) } }),
    says: /lacks CAP_NET_ADMIN,/,
    command: 'sudo setcap cap_net_raw,cap_net_admin+eip /usr/bin/node',
  },
  {
    check: 'no-permission',
    facts: spoiled({
      host: { capabilities: seen({ netRaw: false, netAdmin: false }) },
      role: { unit: { name: 'cpns-gateway.service', user: 'cpns', capable: true } },
    }),
    severity: 'hint',
  },
  {
    check: 'clock-off',
    facts: spoiled({ host: { clock: { ...HOST.clock, wallSeconds: 0 } } }),
    says: /1970-01-01 00:00 UTC: this program is newer/,
    command: 'sudo timedatectl set-ntp true',
  },
  {
    check: 'clock-off',
    facts: spoiled({ role: { server: { url: 'https://s:1', fault: undefined, aheadSeconds: seen(-301) } } }),
    says: /: 5 minutes behind the clock of the server/,
  },
  {
    check: 'clock-off',
    facts: spoiled({
      role: { server: { url: 'https://s:1', fault: 'CERT_NOT_YET_VALID', aheadSeconds: unseen('') } },
    }),
    says: /by it the certificate of https:\/\/s:1 is not valid yet/,
  },
  {
    check: 'clock-not-synchronised',
    facts: spoiled({ host: { clock: { ...HOST.clock, synchronised: seen(false) } } }),
  },
  {
    check: 'configuration-wrong',
    facts: spoiled({
      role: { configFault: 'a.toml:3: pn.nam: unknown key\n  expected: …', adapter: undefined },
    }),
    says: /gateway is wrong: a\.toml:3: pn\.nam: unknown key\.?$/,
  },
  {
    check: 'state-missing',
    facts: spoiled({ role: { state: { ...GATEWAY.state, exists: false, usable: false } } }),
    command: 'cpns gateway init',
  },
  {
    check: 'state-not-usable',
    facts: spoiled({
      role: { stateDir: "/a b'c", state: { ...GATEWAY.state, usable: false, owner: 'root' } },
    }),
    says: /belongs to root, and this user may not write there/,
    command: `sudo chown -R "$(id -un)": '/a b'\\''c'`,
  },
  {
    check: 'state-not-usable',
    facts: spoiled({ role: { state: { ...GATEWAY.state, usable: false, owner: 'root', user: 'cpns' } } }),
    says: /belongs to root, and cpns may not write there/,
    command: 'sudo chown -R cpns: /var/lib/cpns/gateway',
  },
  {
    check: 'state-open',
    facts: spoiled({ role: { state: { ...GATEWAY.state, open: true } } }),
    command: 'chmod 700 /var/lib/cpns/gateway',
  },
  {
    check: 'disk-full',
    facts: spoiled({ role: { state: { ...GATEWAY.state, freeBytes: seen(10 * 1024 * 1024) } } }),
    says: /has 10 MB left/,
    severity: 'error',
  },
  {
    check: 'disk-full',
    facts: spoiled({ role: { state: { ...GATEWAY.state, freeBytes: seen(100 * 1024 * 1024) } } }),
    severity: 'warning',
  },
  {
    check: 'daemon-silent',
    facts: spoiled({
      role: { daemon: seen('silent'), unit: { name: 'cpns-gateway.service', user: 'cpns', capable: true } },
    }),
    command: 'sudo systemctl restart cpns-gateway.service',
  },
  {
    check: 'daemon-waits',
    facts: spoiled({ role: { daemon: seen({ radio: { state: 'waiting', why: 'hci:0 is gone' } }) } }),
    says: /The gateway runs and waits for its adapter: hci:0 is gone/,
  },
  { check: 'gateway-not-enrolled', facts: spoiled({ role: { enrolled: seen(false) } }) },
  {
    check: 'pne-not-enrolled',
    facts: { ...WELL, roles: [{ ...PNE, enrolled: seen(false) }] },
    command: 'cpns pne enrol',
  },
  {
    check: 'server-unreachable',
    facts: spoiled({
      role: { server: { url: 'https://s:1', fault: 'ECONNREFUSED', aheadSeconds: unseen('') } },
    }),
    says: /https:\/\/s:1 can not be reached \(ECONNREFUSED\)/,
  },
  {
    check: 'server-not-believed',
    facts: spoiled({
      role: { server: { url: 'https://s', fault: 'SELF_SIGNED_CERT_IN_CHAIN', aheadSeconds: unseen('') } },
    }),
    command: 'openssl s_client -connect s:443 -showcerts </dev/null',
  },
  { check: 'channel-down', facts: spoiled({ role: { daemon: seen({ channel: 'down' }) } }) },
  {
    check: 'radio-missing',
    facts: { ...WELL, adapters: [], roles: [{ ...PNE, adapter: 'virtual:/run/r.sock', radio: false }] },
    command: 'cpns radio --socket /run/r.sock',
  },
  {
    check: 'radio-missing',
    facts: { ...WELL, roles: [], radio: false },
    adapter: 'virtual:/run/r.sock',
    says: /The command line names virtual:/,
  },
  {
    check: 'kernel-without-bluetooth',
    facts: { ...spoiled({ kernel: { bluetooth: 'none' } }), adapters: [] },
    says: /this kernel has no Bluetooth, nor a module of it to load \(kernel 6\.6\.31/,
  },
  {
    check: 'bluetooth-not-loaded',
    facts: { ...spoiled({ kernel: { bluetooth: 'not-loaded' } }), adapters: [] },
    command: 'sudo modprobe bluetooth',
  },
  {
    check: 'adapter-switched-off',
    facts: { ...spoiled({ kernel: { disabledBy: '/boot/firmware/config.txt' } }), adapters: [] },
    command: "sudo sed -i 's/^dtoverlay=disable-bt/#&/' /boot/firmware/config.txt && sudo reboot",
  },
  { check: 'no-adapter', facts: { ...WELL, adapters: [] } },
  {
    check: 'wrong-adapter',
    facts: { ...spoiled({ role: { adapter: 'hci:3' } }), adapters: [], otherAdapters: [ADAPTER] },
    says: /^hci3: there is no such adapter; the configuration of the gateway names it, and there are hci0$/,
  },
  {
    check: 'several-adapters',
    facts: { ...WELL, otherAdapters: [{ ...ADAPTER, index: 1 }] },
    says: /2 adapters \(hci0, hci1\)/,
  },
  {
    check: 'rfkill-blocked',
    facts: spoiled({ adapter: { rfkill: { soft: true, hard: false } } }),
    command: 'sudo rfkill unblock bluetooth',
  },
  { check: 'rfkill-switch', facts: spoiled({ adapter: { rfkill: { soft: true, hard: true } } }) },
  {
    check: 'adapter-down',
    facts: spoiled({ adapter: { up: seen(false) } }, inRaw({ ...WELL, roles: [PNE] })),
    command: 'sudo hciconfig hci0 up',
  },
  {
    check: 'adapter-up',
    facts: spoiled({ adapter: { up: seen(true), info: seen({ ...INFO, powered: true }) } }),
    command: 'sudo hciconfig hci0 down',
  },
  {
    check: 'bluetoothd-holds',
    facts: inRaw({
      ...WELL,
      roles: [PNE],
      kernel: { ...KERNEL, bluetoothd: daemon(77, { name: 'bluetoothd' }) },
    }),
    says: /bluetoothd \(process 77\) manages hci0/,
    severity: 'error',
  },
  {
    check: 'bluetoothd-holds',
    facts: inRaw({ ...WELL, kernel: { ...KERNEL, bluetoothd: daemon(77, { name: 'bluetoothd' }) } }),
    severity: 'warning',
  },
  {
    check: 'adapter-taken',
    facts: spoiled({
      adapter: { up: seen(true), info: seen('hidden') },
      kernel: { hciPrograms: seen([daemon(9, { unit: 'scan.service' })]) },
    }),
    says: /blescan \(process 9, scan\.service\)/,
    command: 'sudo systemctl stop scan.service',
  },
  {
    check: 'adapter-taken',
    facts: spoiled({
      adapter: { up: seen(true), info: seen('hidden') },
      kernel: { hciPrograms: unseen('only root sees') },
    }),
    says: /one of another user, which only root sees/,
    command: 'sudo cpns doctor --adapter hci:0',
  },
  { check: 'adapter-unfinished', facts: spoiled({ adapter: { up: seen(false), info: seen('hidden') } }) },
  { check: 'controller-silent', facts: spoiled({ adapter: { version: seen('silent') } }) },
  {
    check: 'command-disallowed',
    facts: spoiled({ adapter: { scanAnswer: seen(0x0c), advertiseAnswer: seen(0x0c) } }, inRaw(WELL)),
    says: /refuses to scan and to advertise/,
  },
  {
    check: 'scan-stopped',
    facts: spoiled({ role: { daemon: seen({ pns: [{ inviting: true, joins: [] }] }) } }, inRaw(WELL)),
    command: 'cpns gateway run',
  },
  {
    check: 'place-taken',
    facts: spoiled(
      {
        role: { daemon: seen({ link: 'none' }) },
        adapter: { connections: seen([{ address: '11:22:33:44:55:66', type: 2 }]) },
      },
      inRaw({ ...WELL, roles: [PNE] }),
    ),
    command: 'sudo btmgmt --index 0 disconnect -t 2 11:22:33:44:55:66',
  },
  {
    check: 'link-limit',
    facts: spoiled({ role: { daemon: seen({ pns: [{ joins: joins(4) }, { joins: joins(2) }] }) } }),
    says: /about 5 links at once, and 6 PNEs/,
  },
  {
    // The daemon has the adapter to itself, so that nobody else can ask it.
    check: 'link-limit',
    facts: spoiled({
      adapter: { up: seen(true), info: seen('hidden') },
      role: { daemon: seen({ crowdedAt: 2, pns: [] }) },
    }),
    says: /holds 2 links at once, and a PNE in sight gets none/,
  },
  {
    check: 'short-supervision',
    facts: spoiled({ adapter: { supervisionTimeoutMs: seen(420) } }, inRaw(WELL)),
    command: 'echo 200 | sudo tee /sys/kernel/debug/bluetooth/hci0/supervision_timeout',
  },
  { check: 'short-packets', facts: spoiled({ adapter: { leFeatures: seen(0x01n) } }) },
  {
    check: 'fake-csr',
    facts: spoiled({
      adapter: {
        identity: {
          ...ADAPTER.identity,
          usb: { vendor: 0x0a12, product: 1, bcdDevice: 0x8891 },
          hci: { version: 9, revision: 1, lmpVersion: 9, manufacturer: 2279, lmpSubversion: 1 },
        },
      },
    }),
    says: /manufacturer 2279 is not CSR/,
  },
  {
    check: 'unreliable-adapter',
    facts: spoiled({ adapter: { profile: { ...ADAPTER.profile, warnings: ['it forgets'] } } }),
    says: /^hci0: it forgets$/,
  },
  {
    check: 'not-low-energy',
    facts: spoiled({ adapter: { info: seen({ ...INFO, powered: false, lowEnergy: false }) } }),
  },
  {
    check: 'other-mode',
    facts: inRaw(WELL),
    command: `sudo sed -i 's|^adapter = .*|adapter = "hci:0"|' /etc/cpns/gateway.toml`,
  },
  {
    check: 'two-on-one',
    facts: { ...WELL, roles: [GATEWAY, PNE], otherAdapters: [{ ...ADAPTER, index: 1 }] },
    says: /The gateway and the pne of this host are both to use hci0/,
    command: 'cpns pne run --adapter hci:1',
    severity: 'error',
  },
  {
    check: 'two-on-one',
    facts: inRaw({ ...WELL, roles: [GATEWAY, PNE] }),
    command: 'cpns pne run --adapter hci:1',
    severity: 'warning',
  },
  {
    check: 'other-program',
    facts: inRaw({ ...WELL, kernel: { ...KERNEL, hciPrograms: seen([daemon(9)]) } }),
    command: 'sudo kill 9',
  },
  {
    check: 'wifi-coexistence',
    facts: { ...WELL, wifi: [{ ...WIFI, frequency: seen(2437) }] },
    says: /wlan0 is connected at 2437 MHz and shares a chip/,
  },
];

const of = (findings: readonly Finding[], check: CheckId): Finding =>
  findings.find((finding) => finding.check === check) ??
  assert.fail(`${check} not in ${JSON.stringify(findings)}`);

describe('the judgement', () => {
  it('finds nothing on a host on which nothing is wrong, and saw everything', () => {
    const { findings, unseen: hidden } = judge(WELL);
    assert.deepEqual(findings, []);
    assert.deepEqual(hidden, []);
  });

  for (const { check, facts, adapter, says, command, severity } of ROWS) {
    const name = [check, severity ?? '', says?.source ?? command ?? ''].filter(Boolean).join(', ');
    it(name, () => {
      const finding = of(judge(facts, adapter).findings, check);
      const sentence = fillIn(checkOf(check).sentence, finding);
      if (says) assert.match(sentence, says);
      if (command) assert.equal(commandOf(finding), command);
      if (severity) assert.equal(severityOf(finding), severity);
      // Whatever the row names, the finding gave.
      assert.doesNotMatch(`${sentence} ${commandOf(finding)}`, /\{\w+\}|hciN|hci:N/);
    });
  }

  it('has a row here for each check of the table', () => {
    const missing = (Object.keys(CHECKS) as CheckId[]).filter(
      (id) => !ROWS.some(({ check }) => check === id),
    );
    assert.deepEqual(missing, []);
  });

  it('says of a blocked adapter that it is blocked, and not also that it is down', () => {
    const facts = spoiled({ adapter: { rfkill: { soft: true, hard: false }, up: seen(false) } }, inRaw(WELL));
    assert.ok(!judge(facts).findings.some(({ check }) => check === 'adapter-down'));
  });

  it('asks nothing of adapters when only a virtual radio, or only a server, is used', () => {
    const none = { ...spoiled({ kernel: { bluetooth: 'none' } }), adapters: [] };
    const virtual = { ...none, roles: [{ ...PNE, adapter: 'virtual', radio: true }] };
    assert.deepEqual(judge(virtual).findings, []);
    const server = { ...GATEWAY, role: 'server', adapter: undefined, server: undefined } as const;
    assert.deepEqual(judge({ ...none, roles: [server] }).findings, []);
  });

  it('leaves a daemon of ours its user channel, and its rights', () => {
    const facts = spoiled({
      host: { capabilities: seen({ netRaw: false, netAdmin: false }) },
      role: { daemon: seen({ channel: 'up' }) },
      adapter: { up: seen(true), info: seen('hidden') },
    });
    assert.deepEqual(judge(facts).findings, []);
  });

  it('does not take a daemon that waits for its adapter for the one that has it', () => {
    const facts = spoiled({
      role: { daemon: seen({ radio: { state: 'waiting', why: 'busy' } }) },
      adapter: { up: seen(true), info: seen('hidden') },
      kernel: { hciPrograms: seen([daemon(9)]) },
    });
    assert.ok(judge(facts).findings.some(({ check }) => check === 'adapter-taken'));
  });

  it('leaves a PNE that serves several at once its strangers', () => {
    const facts = spoiled(
      {
        role: { daemon: seen({ link: 'none' }), backEnd: 'stoprocent' },
        adapter: { connections: seen([{ address: '11:22:33:44:55:66', type: 2 }]) },
      },
      inRaw({ ...WELL, roles: [PNE] }),
    );
    assert.ok(!judge(facts).findings.some(({ check }) => check === 'place-taken'));
  });

  it("does not suspect strangers where it is a service's daemon that it can't ask", () => {
    const facts = spoiled({
      role: { daemon: unseen('its control socket is for its own user') },
      adapter: { up: seen(true), info: seen('hidden') },
      kernel: { hciPrograms: unseen('only root sees') },
    });
    const { findings, unseen: hidden } = judge(facts);
    assert.deepEqual(findings, []);
    assert.ok(hidden.some(({ what }) => what === 'gateway: its daemon'));
  });

  it('does not mind bluetoothd beside a user channel', () => {
    const facts = spoiled({ kernel: { bluetoothd: daemon(77, { name: 'bluetoothd' }) } });
    assert.deepEqual(judge(facts).findings, []);
  });

  it('tells what was not seen, and why', () => {
    const facts = spoiled({ adapter: { leFeatures: unseen('CAP_NET_RAW is needed') } });
    assert.deepEqual(judge(facts).unseen, [{ what: 'hci0: LE features', why: 'CAP_NET_RAW is needed' }]);
  });

  it('fails for an error, for a warning only when strict, for a hint never', () => {
    const found = (check: CheckId): readonly Finding[] => [{ check }];
    assert.deepEqual(
      (['rfkill-blocked', 'fake-csr', 'several-adapters'] as const).map((check) => [
        isFailure(found(check), false),
        isFailure(found(check), true),
      ]),
      [
        [true, true],
        [false, true],
        [false, false],
      ],
    );
  });

  it('compares versions by number', () => {
    assert.ok(isOlder('20.9.0', '20.19.0'));
    assert.ok(!isOlder('22.0.0', '20.19.0'));
    assert.ok(!isOlder('20.19.0', '20.19.0'));
  });
});
