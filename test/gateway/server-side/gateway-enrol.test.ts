/** A gateway's enrolment by token: the pin holds before the secret leaves; and what is kept of an answer. */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { EMPTY, toHex } from '../../../src/base/bytes.ts';
import { GatewayCredentialPayload } from '../../../src/messages/credential.ts';
import { GatewayEnrolment, GatewayEnrolRequest } from '../../../src/messages/enrolment.ts';
import { formatHomeAddress } from '../../../src/messages/home-address.ts';
import { enrolAtServer, GatewayRenewal, renewalDueAt } from '../../../src/nodes/gateway/enrol.ts';
import { systemClock } from '../../../src/nodes/system-clock.ts';
import { coseKeyOf, gatewayIdOf, thumbprintOf } from '../../../src/security/cose-key.ts';
import { createGatewayToken } from '../../../src/security/gateway-token.ts';
import { generateKey, type SoftwareSigner, softwareSigner } from '../../../src/security/keystore.ts';
import {
  createCa,
  derToPem,
  issueGatewayCertificate,
  issueServerCertificate,
  verifyCertificateRequest,
} from '../../../src/security/x509.ts';
import { openGatewayStore, type StoredEnrolment } from '../../../src/store/gateway-store.ts';
import { parties, primitives, signMessage } from './confirm-samples.ts';
import { cbor, problem, stubServer } from './stub-server.ts';

const realNow = () => Math.floor(Date.now() / 1000);
const clock = systemClock;
const DAY = 86_400;

/** An operator with a CA and a TLS certificate for localhost. */
function operator() {
  const caKey = softwareSigner(generateKey());
  const ca = {
    certificate: createCa({ name: 'operator', key: caKey, days: 10, now: realNow() }),
    key: caKey,
  };
  const tlsKey = softwareSigner(generateKey());
  const tlsDer = issueServerCertificate({
    ca,
    publicKey: tlsKey.publicKey,
    names: ['localhost', '127.0.0.1'],
    days: 5,
    now: realNow(),
  });
  const keyPem = tlsKey.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const token = createGatewayToken(
    primitives,
    thumbprintOf(primitives, caKey.publicKey),
    new Uint8Array(8).fill(0x1d),
    new Uint8Array(16).fill(0x5e),
  );
  return { ca, caPem: derToPem(ca.certificate), leafPem: derToPem(tlsDer), keyPem, token };
}

type Operator = ReturnType<typeof operator>;

function answerOf(
  it: Operator,
  signer: SoftwareSigner,
  changes: Partial<GatewayEnrolment> = {},
): GatewayEnrolment {
  const gatewayId = gatewayIdOf(primitives, signer.publicKey);
  const now = realNow();
  return {
    certificates: {
      gateway: issueGatewayCertificate({ ca: it.ca, publicKey: signer.publicKey, days: 8, now }),
      ca: it.ca.certificate,
    },
    credential: signMessage(parties.server, GatewayCredentialPayload, EMPTY, {
      expiresAt: now + 7 * DAY,
      gatewayId,
      confirmation: { key: coseKeyOf(signer.publicKey) },
      labels: { role: 'gateway', user: 'alice', gateway: 'kitchen' },
    }),
    rootKey: coseKeyOf(parties.root.publicKey),
    serverKeys: [coseKeyOf(parties.server.publicKey)],
    homeAddress: formatHomeAddress({ gatewayId, realm: 'example.org' }),
    userLabel: 'alice',
    gatewayLabel: 'kitchen',
    gatewayId,
    serverTime: now,
    realm: 'example.org',
    ...changes,
  };
}

describe('enrolment of a gateway', () => {
  const it1 = operator();
  const signer = parties.home;
  const store = openGatewayStore(':memory:');
  const enrol = (serverUrl: string, token = it1.token) =>
    enrolAtServer({ serverUrl, token, store, signer, primitives, clock });

  it('pins the CA, sends the secret once and keeps the answer', async () => {
    const stub = await stubServer({ cert: it1.leafPem + it1.caPem, key: it1.keyPem });
    stub.answer = (response) => cbor(response, GatewayEnrolment.encode(answerOf(it1, signer)), 201);
    try {
      const enrolment = await enrol(stub.baseUrl);
      assert.deepEqual(store.enrolment(), enrolment);
      assert.equal(stub.asked.length, 1);
      assert.equal(stub.asked[0]?.path, '/cpns/v1/gateways');
      const asked = GatewayEnrolRequest.decode(stub.asked[0]?.body ?? EMPTY);
      assert.equal(toHex(asked.tokenSecret), '5e'.repeat(16));
      assert.deepEqual(verifyCertificateRequest(asked.certificationRequest), signer.publicKey);
    } finally {
      await stub.close();
    }
  });

  const impostor = operator();
  const impostors: readonly (readonly [name: string, cert: string, status: string])[] = [
    ['with a CA of its own', impostor.leafPem + impostor.caPem, 'enrolment-code-wrong'],
    [
      "that shows the operator's CA behind its own certificate",
      impostor.leafPem + it1.caPem,
      'server-unreachable',
    ],
    ['without a CA', impostor.leafPem, 'enrolment-code-wrong'],
  ];
  for (const [name, cert, status] of impostors) {
    it(`gives an impostor ${name} not one byte of the request`, async () => {
      const stub = await stubServer({ cert, key: impostor.keyPem });
      try {
        await assert.rejects(enrol(stub.baseUrl), { name: 'CpnsError' });
        assert.deepEqual([stub.asked.length, stub.receivedBytes], [0, 0]);
        await assert.rejects(enrol(stub.baseUrl), (error: { status?: string }) =>
          // Which of the two is the TLS library's choice for a chain that does not hang together.
          [status, 'enrolment-code-wrong'].includes(error.status ?? ''),
        );
        assert.equal(stub.receivedBytes, 0);
      } finally {
        await stub.close();
      }
    });
  }

  it('gives a server of another name nothing', async () => {
    const tlsKey = softwareSigner(generateKey());
    const der = issueServerCertificate({
      ca: it1.ca,
      publicKey: tlsKey.publicKey,
      names: ['elsewhere.example'],
      days: 5,
      now: realNow(),
    });
    const key = tlsKey.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const stub = await stubServer({ cert: derToPem(der) + it1.caPem, key });
    try {
      await assert.rejects(enrol(stub.baseUrl), { status: 'server-unreachable' });
      assert.equal(stub.receivedBytes, 0);
    } finally {
      await stub.close();
    }
  });

  it('takes no token that is not whole, before it dials', async () => {
    await assert.rejects(enrol('https://localhost:1', 'CPNSGW:AAAA'), { status: 'token-invalid' });
  });

  it('is timeout when a server accepts and says nothing', async () => {
    const silent = createServer();
    silent.removeAllListeners('connection');
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const serverUrl = `https://localhost:${port}`;
    await assert.rejects(
      enrolAtServer({ serverUrl, token: it1.token, store, signer, primitives, clock, deadlineMs: 60 }),
      { status: 'timeout' },
    );
    silent.close();
  });

  const wrong: readonly (readonly [
    name: string,
    changes: (other: SoftwareSigner) => Partial<GatewayEnrolment>,
  ])[] = [
    ['another gateway id', () => ({ gatewayId: gatewayIdOf(primitives, parties.stranger.publicKey) })],
    ['a certificate for another key', (other) => ({ certificates: answerOf(it1, other).certificates })],
    ['a credential for another key', (other) => ({ credential: answerOf(it1, other).credential })],
    ['another home address', (other) => ({ homeAddress: answerOf(it1, other).homeAddress })],
    ['another realm', () => ({ realm: 'example.com' })],
  ];
  for (const [name, changes] of wrong) {
    it(`keeps no answer with ${name}`, async () => {
      const stub = await stubServer({ cert: it1.leafPem + it1.caPem, key: it1.keyPem });
      const answer = answerOf(it1, signer, changes(parties.stranger));
      stub.answer = (response) => cbor(response, GatewayEnrolment.encode(answer), 201);
      const before = store.enrolment();
      try {
        await assert.rejects(enrol(stub.baseUrl), { status: 'credential-invalid' });
        assert.deepEqual(store.enrolment(), before);
      } finally {
        await stub.close();
      }
    });
  }

  it("hears the server's refusal of a spent token", async () => {
    const stub = await stubServer({ cert: it1.leafPem + it1.caPem, key: it1.keyPem });
    stub.answer = (response) => problem(response, 'token-invalid');
    await assert.rejects(enrol(stub.baseUrl), { status: 'token-invalid' });
    await stub.close();
  });
});

describe('renewal of a gateway', () => {
  const it1 = operator();
  const signer = parties.home;

  it('is due at half of what was left of the shorter life', () => {
    const answer = answerOf(it1, signer);
    const enrolment = { serverUrl: 'https://h', answer, receivedAt: 1000 };
    assert.equal(renewalDueAt(enrolment, answer.serverTime + 7 * DAY), 1000 + (7 * DAY) / 2);
    assert.equal(renewalDueAt(enrolment, answer.serverTime + 70 * DAY), 1000 + 4 * DAY);
    assert.equal(renewalDueAt(enrolment, answer.serverTime), 1060);
  });

  /** A gateway whose credential is past its half-life, and a server that renews with `answer`. */
  function overdue(answer: () => GatewayEnrolment) {
    const store = openGatewayStore(':memory:');
    const receivedAt = realNow() - 6 * DAY;
    store.saveEnrolment({ serverUrl: 'https://h', answer: answerOf(it1, signer), receivedAt });
    const problems: string[] = [];
    let tell: (what: string) => void = () => undefined;
    const told = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const renewal = new GatewayRenewal({
      store,
      signer,
      primitives,
      clock,
      client: { renew: async () => answer() },
      onRenewed: (enrolment: StoredEnrolment) => tell(`renewed ${enrolment.answer.gatewayLabel}`),
      onProblem: (status) => {
        problems.push(status);
        tell(status);
      },
    });
    return { store, renewal, told };
  }

  it('stores the new answer before it is used', async () => {
    const { store, renewal, told } = overdue(() => answerOf(it1, signer, { gatewayLabel: 'attic' }));
    assert.equal(await told, 'renewed attic');
    assert.equal(store.enrolment()?.answer.gatewayLabel, 'attic');
    await renewal.close();
  });

  it('takes no other root and no other CA', async () => {
    const otherRoot = { rootKey: coseKeyOf(parties.stranger.publicKey) };
    for (const answer of [answerOf(it1, signer, otherRoot), answerOf(operator(), signer)]) {
      const { store, renewal, told } = overdue(() => answer);
      assert.equal(await told, 'credential-invalid');
      assert.notDeepEqual(store.enrolment()?.answer, answer);
      await renewal.close();
    }
  });
});
