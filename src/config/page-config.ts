/**
 * `[page]` of a server: where it serves the PNE's page, and with which certificate. Owns keys and bounds. The certificate is
 * one that browsers know: a page that came over anything less may not use Bluetooth.
 */
import * as v from 'valibot';
import { type ListenAddress, listen, pemFile } from './console-config.ts';

export interface PageConfig {
  readonly listen: ListenAddress;
  /** PEM files; the chain with the leaf first. */
  readonly cert: string;
  readonly key: string;
}

export const Page = v.pipe(
  v.strictObject({
    listen,
    cert: pemFile('"/etc/letsencrypt/live/cpns.example.net/fullchain.pem"'),
    key: pemFile('"/etc/letsencrypt/live/cpns.example.net/privkey.pem"'),
  }),
  v.transform((config): PageConfig => config),
);
