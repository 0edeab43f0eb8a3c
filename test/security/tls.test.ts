/** Our certificates in a TLS 1.3 handshake with client authentication, and every refusal that guards it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { derToPem, publicKeyOfCertificate } from '../../src/security/x509.ts';
import { DAY, type Identity, identity, newCa, now } from './x509-samples.ts';

interface Outcome {
  /** `ok` or the code of the error, as each side saw it. */
  readonly client: string;
  readonly server: string;
  /** What the server knows of the client. */
  readonly peerKey?: Uint8Array;
}

const ca = newCa();
const caPem = derToPem(ca.certificate);
const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.message);

async function handshake(server: Identity, client: ConnectionOptions): Promise<Outcome> {
  const listener = createServer({ ...server, ca: caPem, minVersion: 'TLSv1.3', requestCert: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const seen = new Promise<Omit<Outcome, 'client'>>((resolve) => {
    listener.on('tlsClientError', (error) => resolve({ server: codeOf(error) }));
    listener.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => {});
      assert.equal(socket.getProtocol(), 'TLSv1.3');
      const { raw } = socket.getPeerCertificate();
      resolve({ server: 'ok', peerKey: publicKeyOfCertificate(new Uint8Array(raw)).x });
      socket.end('hello');
    });
  });
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ca: caPem, ...client });
  let outcome = 'closed';
  // In TLS 1.3 the client is done before the server has judged its certificate: only data says that it passed.
  socket.on('data', () => {
    outcome = 'ok';
  });
  socket.on('error', (error) => {
    outcome = codeOf(error);
  });
  // Not once(socket, 'close'): that rejects on the very error a refusal is seen by, and leaves the listener open.
  const closed = new Promise((resolve) => socket.on('close', resolve));
  try {
    await closed;
    return { client: outcome, ...(await seen) };
  } finally {
    listener.close();
  }
}

describe('TLS 1.3 with our certificates', () => {
  const server = identity(ca, 'server');
  const gateway = identity(ca, 'gateway');

  it('both sides are content, and the server has the key of the gateway', async () => {
    const { client, server: judged, peerKey } = await handshake(server, gateway);
    assert.deepEqual([client, judged], ['ok', 'ok']);
    assert.deepEqual(peerKey, publicKeyOfCertificate(gateway.cert).x);
  });

  it('reaches the server by its address too', async () => {
    const { client } = await handshake(server, { ...gateway, servername: '' });
    assert.equal(client, 'ok');
  });

  const refusedByClient: readonly (readonly [string, Identity, ConnectionOptions, string])[] = [
    ['of another CA with the same name', identity(newCa(), 'server'), {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['that has expired', identity(ca, 'server', now - 8 * DAY), {}, 'CERT_HAS_EXPIRED'],
    ['that is not valid yet', identity(ca, 'server', now + DAY), {}, 'CERT_NOT_YET_VALID'],
    ["that is a gateway's", gateway, {}, 'INVALID_PURPOSE'],
    ['for another name', server, { servername: 'example.org' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ];
  for (const [name, presented, options, code] of refusedByClient)
    it(`a gateway refuses a server certificate ${name}`, async () => {
      const { client } = await handshake(presented, { ...gateway, ...options });
      assert.equal(client, code);
    });

  const refusedByServer: readonly (readonly [string, ConnectionOptions])[] = [
    ['none', {}],
    ['one of another CA', identity(newCa(), 'gateway')],
    ['one that has expired', identity(ca, 'gateway', now - 8 * DAY)],
    ["a server's", identity(ca, 'server')],
  ];
  for (const [name, options] of refusedByServer)
    it(`a server refuses a client certificate: ${name}`, async () => {
      const { client, server: judged } = await handshake(server, options);
      assert.notEqual(judged, 'ok');
      assert.notEqual(client, 'ok');
    });

  it('nobody speaks TLS 1.2', async () => {
    const { client, server: judged } = await handshake(server, { ...gateway, maxVersion: 'TLSv1.2' });
    assert.match(client, /PROTOCOL_VERSION/);
    assert.notEqual(judged, 'ok');
  });
});
