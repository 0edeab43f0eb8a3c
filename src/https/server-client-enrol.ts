/**
 * A gateway's first contact with its server: finds the operator's CA by the thumbprint in the token, and sends the
 * token's secret only over a connection that verifies under that CA. Owns this one exchange.
 * Must not: believe any other CA, the system's included, or send a byte of the request before the pin held.
 * Source: docs/protocol.md §7.3, §9 (`POST gateways`).
 */
import { X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { type Bytes, equal } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GatewayEnrolment, GatewayEnrolRequest } from '../messages/enrolment.ts';
import { thumbprintOf } from '../security/cose-key.ts';
import type { GatewayToken } from '../security/gateway-token.ts';
import type { Primitives, PublicKey } from '../security/primitives.ts';
import { publicKeyOfCertificate } from '../security/x509.ts';
import {
  type CallOptions,
  DEFAULT_DEADLINE_MS,
  HttpsTransport,
  networkError,
  parseBaseUrl,
} from './server-client-transport.ts';

export interface EnrolledGateway {
  /** The pinned CA, PEM: the only one later connections believe. */
  readonly caPem: string;
  readonly answer: GatewayEnrolment;
}

/** Longer chains are no operator's. */
const MAX_CHAIN = 8;

/**
 * Enrols this gateway. Repeating it with the same token and key is harmless: the server issues the same again.
 * @param baseUrl `https://host[:port]`
 * @param certificationRequest PKCS#10 in DER, at most 2,048 bytes, of the gateway's identity key
 * @throws CpnsError enrolment-code-wrong when the server is not the token's; server-unreachable, also when its
 * certificate does not verify; token-invalid and the server's other refusals
 */
export async function enrolGateway(
  primitives: Primitives,
  baseUrl: string,
  token: GatewayToken,
  certificationRequest: Bytes,
  options: CallOptions = {},
): Promise<EnrolledGateway> {
  const ca = findPinnedCa(primitives, await presentedChain(baseUrl, options), token.caThumbprintPrefix);
  const caPem = ca.toString();
  // A second connection, now with the chain, the host name and the dates verified by TLS itself.
  const transport = new HttpsTransport({ baseUrl, caPem });
  try {
    const { id: tokenId, secret: tokenSecret } = token;
    const request = GatewayEnrolRequest.encode({ tokenId, tokenSecret, certificationRequest });
    const { body } = await transport.exchange('POST', 'gateways', request, options);
    const answer = GatewayEnrolment.decode(body);
    if (!isPinnedCa(primitives, new X509Certificate(answer.certificates.ca), token.caThumbprintPrefix))
      throw new CpnsError('enrolment-code-wrong', 'the server enrols under another CA');
    return { caPem, answer };
  } finally {
    transport.close();
  }
}

/** The certificates a server shows, its own first. Nothing is believed and nothing is sent. */
function presentedChain(baseUrl: string, options: CallOptions): Promise<readonly X509Certificate[]> {
  const { hostname, port } = parseBaseUrl(baseUrl);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const { signal, deadlineMs = DEFAULT_DEADLINE_MS } = options;
  if (signal?.aborted) return Promise.reject(new CpnsError('shutting-down'));
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: port === '' ? 443 : Number(port),
      minVersion: 'TLSv1.3',
      rejectUnauthorized: false,
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', callOff);
      socket.destroy();
      settle();
    };
    const callOff = () => end(() => reject(new CpnsError('shutting-down')));
    const timer = setTimeout(() => end(() => reject(new CpnsError('timeout'))), deadlineMs);
    signal?.addEventListener('abort', callOff);
    socket.on('error', (error) => end(() => reject(networkError(error))));
    socket.on('close', () => end(() => reject(new CpnsError('server-unreachable', 'connection closed'))));
    socket.on('secureConnect', () => {
      const chain = chainOf(socket.getPeerCertificate(true));
      end(() => resolve(chain));
    });
  });
}

function chainOf(peer: DetailedPeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next: DetailedPeerCertificate | undefined = peer; next?.raw && chain.length < MAX_CHAIN; ) {
    chain.push(new X509Certificate(next.raw));
    // The root names itself as its issuer.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

function findPinnedCa(
  primitives: Primitives,
  chain: readonly X509Certificate[],
  pin: Bytes,
): X509Certificate {
  const ca = chain.find((certificate) => isPinnedCa(primitives, certificate, pin));
  if (!ca) throw new CpnsError('enrolment-code-wrong', "the server does not show the token's CA");
  return ca;
}

function isPinnedCa(primitives: Primitives, certificate: X509Certificate, pin: Bytes): boolean {
  let key: PublicKey;
  try {
    key = publicKeyOfCertificate(certificate.raw);
  } catch {
    return false; // of another kind of key, so not the operator's
  }
  const pinned = pin.length > 0 && equal(thumbprintOf(primitives, key).slice(0, pin.length), pin);
  return pinned && certificate.ca && certificate.verify(certificate.publicKey);
}
