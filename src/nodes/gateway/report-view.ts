/**
 * A report as plain values, for a shell, a page and the operator: what was asked, by whom, when, and the evidence as the
 * exact bytes that came. Reads what was verified when it was asked (src/establishment/home-gateway.ts); verifies nothing. Pure.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import type { JoinId, Thumbprint } from '../../base/ids.ts';
import type { ServerSeconds } from '../../base/time.ts';
import { claimedThumbprint } from '../../establishment/home-gateway.ts';
import { PneConfirmRequest } from '../../messages/confirmation.ts';
import { GatewayCredentialPayload } from '../../messages/credential.ts';
import { PnSetupRequestPayload } from '../../messages/setup.ts';
import { parseSign1 } from '../../security/cose.ts';
import { publicKeyOf, thumbprintOf } from '../../security/cose-key.ts';
import type { Primitives } from '../../security/primitives.ts';

export interface ReportView {
  readonly joinId: string;
  /** Seconds since 1970, as this gateway's clock had them. */
  readonly askedAt: number;
  readonly reportedAt: number;
  /** The gateway that asked, as the operator's credential names it. */
  readonly gateway: {
    readonly gatewayId: string;
    readonly thumbprint: string;
    readonly user: string;
    readonly label: string;
  };
  /** The device that it wanted: one of this home's. */
  readonly pne: { readonly thumbprint: string; readonly label: string | null };
  readonly pnId: string;
  /** A claim of the reported gateway's owner. */
  readonly claimedPnName: string;
  readonly setupType: string;
  readonly terms: { readonly currency: string; readonly limit: number; readonly periodDays: number };
  readonly evidence: {
    /** The operator knows the join by it, too: SHA-256 over all that was said. */
    readonly th3: string;
    /** Step 8 as it came, a PneConfirmRequest in CBOR: with every signature of the join. */
    readonly request: string;
    /** The no that this home signed; null until it is on disk. */
    readonly answer: string | null;
    /** What the server signed in the end; null until it came. */
    readonly outcome: string | null;
  };
}

/** What is on disk of a reported question. */
export interface Reported {
  readonly joinId: JoinId;
  readonly th3: Bytes;
  /** Step 8 as it came. */
  readonly body: Bytes;
  readonly receivedAt: ServerSeconds;
  readonly reportedAt: ServerSeconds;
  readonly answer?: Bytes;
  readonly outcome?: Bytes;
}

/** @param labelOf what this home calls a PNE */
export function reportView(
  { joinId, th3, body, receivedAt, reportedAt, answer, outcome }: Reported,
  labelOf: (pne: Thumbprint) => string | undefined,
  primitives: Primitives,
): ReportView {
  const request = PneConfirmRequest.decode(body);
  const { evidence, terms } = request;
  const thumbprint = claimedThumbprint(request);
  if (!thumbprint) throw new CpnsError('internal', 'a report of a question that names no PNE');
  const setup = PnSetupRequestPayload.decode(parseSign1(evidence.m1).payload);
  const { gatewayId, confirmation, labels } = GatewayCredentialPayload.decode(
    parseSign1(setup.credential).payload,
  );
  return {
    joinId: toHex(joinId),
    askedAt: receivedAt,
    reportedAt,
    gateway: {
      gatewayId: toHex(gatewayId),
      thumbprint: toHex(thumbprintOf(primitives, publicKeyOf(primitives, confirmation.key))),
      user: labels.user,
      label: labels.gateway,
    },
    pne: { thumbprint: toHex(thumbprint), label: labelOf(thumbprint) ?? null },
    pnId: toHex(setup.pnId),
    claimedPnName: setup.name,
    setupType: setup.setupType,
    terms,
    evidence: {
      th3: toHex(th3),
      request: toHex(body),
      answer: answer ? toHex(answer) : null,
      outcome: outcome ? toHex(outcome) : null,
    },
  };
}
