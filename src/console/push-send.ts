/**
 * One POST to a push service: TLS verified, no redirect followed, of bounded time, nothing kept of the answer but its status.
 */
import { request } from 'node:https';
import { type PushTarget, publicLookup } from './push-hosts.ts';

const WITHIN_MS = 10_000;

export interface PushPost {
  readonly body: Buffer;
  readonly authorization: string;
  /** How long the service is to keep it for a browser that is away. */
  readonly ttlSeconds: number;
  /** A later message with the same topic takes its place; base64url, at most 32. */
  readonly topic: string;
}

/** @param ca more to trust than the system does; for tests @returns the HTTP status @throws Error when there is none */
export function sendPush({ url, isNamed }: PushTarget, post: PushPost, ca?: string): Promise<number> {
  const { body, authorization, ttlSeconds, topic } = post;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        agent: false,
        minVersion: 'TLSv1.2',
        signal: AbortSignal.timeout(WITHIN_MS),
        ...(ca !== undefined && { ca }),
        ...(!isNamed && { lookup: publicLookup }),
        headers: {
          authorization,
          'content-type': 'application/octet-stream',
          'content-encoding': 'aes128gcm',
          'content-length': body.length,
          ttl: ttlSeconds,
          topic,
          urgency: 'high',
        },
      },
      (response) => {
        resolve(response.statusCode ?? 0);
        response.destroy();
      },
    );
    sent.on('error', reject);
    // Also of a service that begins to speak another protocol, of which there is neither answer nor error.
    sent.on('close', () => reject(new Error('no answer')));
    sent.end(body);
  });
}
