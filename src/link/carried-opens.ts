/**
 * The two OPENs of a link as a gateway carries them to whoever was not on it: the server, the home gateway, an auditor.
 * Owns what such a pair has to be, which is what the link's own two ends insist on too: without it the gateway and a PNE
 * could agree on a suite that nobody else has heard of, and still get it registered. Pure. Source: docs/protocol.md §5.1.
 */
import type { Bytes } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { type LinkKind, Open } from '../messages/link.ts';
import { checkOffer } from './open.ts';

/** @throws CpnsError malformed, transcript-mismatch (roles or kind), version-mismatch, suite-mismatch */
export function checkCarriedOpens(openG: Bytes, openP: Bytes, kind: LinkKind): void {
  const [gateway, pne] = [Open.decode(openG), Open.decode(openP)];
  // Whoever was central stated the kind, and nobody else.
  const kinds = [gateway.kind, pne.kind].filter((stated) => stated !== undefined);
  if (gateway.role !== 'gateway' || pne.role !== 'pne' || kinds.length !== 1 || kinds[0] !== kind)
    throw new CpnsError('transcript-mismatch', `the OPENs are not those of a link of kind ${kind}`);
  for (const open of [gateway, pne]) checkOffer(open);
}
