/**
 * Who is calling: the client certificate of a TLS connection, checked anew for each request.
 * Owns what makes a certificate acceptable at this moment. Whether its gateway is known and in good standing the
 * directory says, per request too, so that a revocation ends connections that are open. Source: docs/protocol.md §9, §13.
 */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { toHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import type { PublicKey } from '../security/primitives.ts';

interface Presented {
  readonly key: PublicKey;
  readonly validFromMs: number;
  readonly validToMs: number;
}

export class CallerReader {
  readonly #coordinatesOf: (key: X509Certificate['publicKey']) => PublicKey;
  readonly #wallMs: () => number;
  /** A certificate does not change while its connection lives: it is taken apart once. */
  readonly #presented = new WeakMap<Socket, Presented>();

  /** @param coordinatesOf reads a P-256 key; throws CpnsError for another */
  constructor(
    coordinatesOf: (key: X509Certificate['publicKey']) => PublicKey,
    wallMs: () => number = Date.now,
  ) {
    this.#coordinatesOf = coordinatesOf;
    this.#wallMs = wallMs;
  }

  /** The key of the caller's certificate. @throws CpnsError not-authenticated */
  keyOf(socket: Socket): PublicKey {
    const { key, validFromMs, validToMs } = this.#presented.get(socket) ?? this.#read(socket as TLSSocket);
    // A connection may outlive the certificate that opened it.
    const nowMs = this.#wallMs();
    if (nowMs < validFromMs || nowMs > validToMs) throw new CpnsError('not-authenticated', 'expired');
    return key;
  }

  /** A short name of the certified key, the same for every certificate of that key; undefined without one. */
  peerOf(socket: TLSSocket): string | undefined {
    try {
      return toHex(this.keyOf(socket).x);
    } catch {
      return undefined;
    }
  }

  #read(socket: TLSSocket): Presented {
    const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
    if (!certificate) throw new CpnsError('not-authenticated');
    try {
      const presented = {
        key: this.#coordinatesOf(certificate.publicKey),
        validFromMs: Date.parse(certificate.validFrom),
        validToMs: Date.parse(certificate.validTo),
      };
      this.#presented.set(socket, presented);
      return presented;
    } catch (cause) {
      throw new CpnsError('not-authenticated', 'key', { cause });
    }
  }
}
