/** The probes on file systems made for the purpose: what a Raspberry Pi or another host shows in /sys, /proc and /boot. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { known } from '../../src/doctor/facts.ts';
import { LEAST_NODE } from '../../src/doctor/judge-host.ts';
import { adapterIndices, probePlace } from '../../src/doctor/probe-adapter.ts';
import { parseCapabilities } from '../../src/doctor/probe-host.ts';
import { parseSocketTable, probeKernel } from '../../src/doctor/probe-kernel.ts';
import { probeServer } from '../../src/doctor/probe-server.ts';
import { probeWifi } from '../../src/doctor/probe-wifi.ts';
import { generateKey, softwareSigner } from '../../src/security/keystore.ts';
import { createCa, derToPem, issueServerCertificate } from '../../src/security/x509.ts';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly engines: { readonly node: string };
};

const RELEASE = '6.6.31+rpt-rpi-v8';

describe('probes', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cpns-doctor-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const link = (path: string, to: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    mkdirSync(join(root, to), { recursive: true });
    symlinkSync(join(root, to), join(root, path));
  };
  const bluetooth = () => probeKernel(root, RELEASE).bluetooth;

  describe('of the kernel', () => {
    it('tell no Bluetooth from Bluetooth that is not loaded', () => {
      assert.equal(bluetooth(), 'none');
      write(
        `lib/modules/${RELEASE}/modules.dep`,
        'kernel/net/bluetooth/bluetooth.ko.xz: kernel/net/rfkill.ko\n',
      );
      assert.equal(bluetooth(), 'not-loaded');
      mkdirSync(join(root, 'sys/class/bluetooth'), { recursive: true });
      assert.equal(bluetooth(), 'there');
    });

    it('see that a config.txt switches the built-in adapter off, and not one that mentions it', () => {
      write('boot/firmware/config.txt', '# dtoverlay=disable-bt\ndtoverlay=miniuart-bt\n');
      assert.equal(probeKernel(root, RELEASE).disabledBy, undefined);
      write('boot/config.txt', 'arm_boost=1\n dtoverlay=disable-bt\n');
      assert.equal(probeKernel(root, RELEASE).disabledBy, '/boot/config.txt');
    });

    it('find bluetoothd, and who has a Bluetooth socket', () => {
      write(
        'proc/net/hci',
        'sk   RefCnt Rmem   Wmem   User   Inode  Parent\n0000 2  0  0  1000   4711   0     \n',
      );
      write('proc/12/comm', 'bluetoothd\n');
      write('proc/34/comm', 'node\n');
      write('proc/34/cmdline', ['node', '/opt/cpns/dist/src/cli/main.js', 'gateway', 'run', ''].join('\0'));
      write('proc/34/cgroup', '0::/system.slice/cpns-gateway.service\n');
      mkdirSync(join(root, 'proc/34/fd'));
      symlinkSync('socket:[4711]', join(root, 'proc/34/fd/19'));
      const { bluetoothd, hciPrograms } = probeKernel(root, RELEASE);
      assert.equal(bluetoothd?.pid, 12);
      assert.deepEqual(known(hciPrograms), [
        { pid: 34, name: 'node', unit: 'cpns-gateway.service', own: true },
      ]);
    });

    it('say that they do not see whose a socket of another user is', () => {
      write('proc/net/hci', 'sk RefCnt Rmem Wmem User Inode Parent\n0 2 0 0 0 99 0\n');
      const { hciPrograms } = probeKernel(root, RELEASE);
      assert.ok(!hciPrograms.seen && /only root sees/.test(hciPrograms.why));
    });

    it('take a table that is none for an empty one', () => {
      assert.equal(parseSocketTable('what?\n1 2 3').size, 0);
      assert.equal(parseSocketTable('').size, 0);
    });
  });

  describe('of adapters', () => {
    it('know a USB adapter, its switch and its profile', () => {
      const device = 'sys/devices/platform/usb1/1-1/1-1:1.0';
      link(`${device}/subsystem`, 'sys/bus/usb');
      write('sys/devices/platform/usb1/1-1/idVendor', '0a5c\n');
      write('sys/devices/platform/usb1/1-1/idProduct', '21e8\n');
      const adapter = `${device}/bluetooth/hci1`;
      mkdirSync(join(root, adapter), { recursive: true });
      link('sys/class/bluetooth/hci1', adapter);
      link(`${adapter}/device`, device);
      write(`${adapter}/rfkill3/soft`, '1\n');
      write(`${adapter}/rfkill3/hard`, '0\n');
      assert.deepEqual(adapterIndices(root), [1]);
      const { identity, profile, rfkill } = probePlace(1, undefined, { root, kernel: RELEASE });
      assert.equal(identity.bus, 'usb');
      assert.equal(profile.name, 'bcm20702');
      assert.equal(profile.channel, 'user');
      assert.deepEqual(rfkill, { soft: true, hard: false });
    });

    it('list nothing where there is nothing, and no links of it', () => {
      assert.deepEqual(adapterIndices(root), []);
      mkdirSync(join(root, 'sys/class/bluetooth/hci0:11'), { recursive: true });
      assert.deepEqual(adapterIndices(root), []);
    });
  });

  describe('of Wi-Fi', () => {
    beforeEach(() => {
      mkdirSync(join(root, 'sys/class/net/wlan0/phy80211'), { recursive: true });
      link('sys/class/net/wlan0/device/driver', 'sys/bus/sdio/drivers/brcmfmac');
      mkdirSync(join(root, 'sys/class/net/eth0'), { recursive: true });
    });

    it('read the channel, and which chip it is on', async () => {
      const iw = async () => 'Interface wlan0\n\ttype managed\n\tchannel 6 (2437 MHz), width: 20 MHz\n';
      assert.deepEqual(await probeWifi(root, iw), [
        { name: 'wlan0', combo: true, frequency: { seen: true, value: 2437 } },
      ]);
    });

    it('tell not connected from not known', async () => {
      const [idle] = await probeWifi(root, async () => 'Interface wlan0\n\ttype managed\n');
      assert.deepEqual(idle?.frequency, { seen: true, value: undefined });
      const [blind] = await probeWifi(root, () =>
        Promise.reject(Object.assign(new Error(), { code: 'ENOENT' })),
      );
      assert.ok(blind && !blind.frequency.seen && /ENOENT/.test(blind.frequency.why));
    });
  });

  describe('of the host', () => {
    it('read what a process may do', () => {
      assert.deepEqual(known(parseCapabilities('Name:\tnode\nCapEff:\t0000000000003000\n')), {
        netRaw: true,
        netAdmin: true,
      });
      assert.deepEqual(known(parseCapabilities('CapEff:\t0000000000002000\n')), {
        netRaw: true,
        netAdmin: false,
      });
      assert.ok(!parseCapabilities('CapEff:\tffffffffffffffffff\n').seen);
    });

    it('want the Node that package.json wants', () => {
      assert.equal(manifest.engines.node, `>=${LEAST_NODE}`);
    });
  });

  describe('of the server', () => {
    it('see that nobody listens', async () => {
      const { fault } = await probeServer('https://127.0.0.1:1', undefined);
      assert.equal(fault, 'ECONNREFUSED');
    });

    it('give up on one that takes the connection and says nothing', async () => {
      const silent = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => silent.once('listening', resolve));
      const { port } = silent.address() as AddressInfo;
      const { fault, aheadSeconds } = await probeServer(`https://127.0.0.1:${port}`, undefined);
      silent.close();
      assert.equal(fault, 'ETIMEDOUT');
      assert.ok(!aheadSeconds.seen);
    });

    it('believe only the CA they know, and compare clocks', async () => {
      const { ca, cert, key } = operator();
      const server = createHttps({ cert, key }, (_request, response) => {
        response.setHeader('date', new Date(Date.now() - 3_600_000).toUTCString());
        response.writeHead(404).end();
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      const url = `https://127.0.0.1:${port}`;
      const believed = await probeServer(url, ca);
      const other = await probeServer(url, operator().ca);
      server.close();
      server.closeAllConnections();
      assert.equal(believed.fault, undefined);
      assert.ok(Math.abs((known(believed.aheadSeconds) ?? 0) - 3600) <= 2);
      assert.match(other.fault ?? '', /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET|SIGNATURE/);
    });

    it('see a certificate that is not valid yet by the clock of here', async () => {
      const { ca, cert, key } = operator(Math.floor(Date.now() / 1000) + 10 * 86_400);
      const server = createHttps({ cert, key }).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      const { fault } = await probeServer(`https://127.0.0.1:${port}`, ca);
      server.close();
      assert.equal(fault, 'CERT_NOT_YET_VALID');
    });
  });
});

/** An operator's CA and a certificate of it for a server at 127.0.0.1, valid from `now`. */
function operator(now = Math.floor(Date.now() / 1000)) {
  const key = softwareSigner(generateKey());
  const certificate = createCa({ name: 'test', key, days: 30, now });
  const tls = softwareSigner(generateKey());
  const names = ['127.0.0.1'];
  const { publicKey } = tls;
  const issued = issueServerCertificate({ ca: { certificate, key }, publicKey, names, days: 5, now });
  return {
    ca: derToPem(certificate),
    cert: derToPem(issued),
    key: tls.privateKey.export({ format: 'pem', type: 'pkcs8' }),
  };
}
