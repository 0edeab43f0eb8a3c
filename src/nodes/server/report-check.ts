/**
 * A report that a user hands to the operator, verified: that the asking gateway and the PNE signed what it says, under this
 * operator's challenge, and that the PNE's home said no to it. Believes nothing of the file but what is signed in it, and of
 * that nothing that the operator's own records contradict: a home can sign a no after its yes.
 */
import { type Bytes, toHex } from '../../base/bytes.ts';
import { CpnsError } from '../../base/errors.ts';
import { claimedThumbprint, verifyRequest } from '../../establishment/home-gateway.ts';
import { PneConfirmRequest, PneConfirmResponsePayload } from '../../messages/confirmation.ts';
import type { Primitives } from '../../security/primitives.ts';
import type { ServerKeys } from '../../security/server-keys.ts';
import { openSigned } from '../../security/signed-message.ts';
import type { ServerStore } from '../../store/server-store.ts';

/** What was signed, and by whom. */
export interface CheckedReport {
  readonly joinId: string;
  /** Who asked. */
  readonly gateway: { readonly gatewayId: string; readonly user: string; readonly label: string };
  readonly pne: string;
  readonly pnId: string;
  readonly claimedPnName: string;
  /** Whose PNE it is, and who reports. */
  readonly home: { readonly gatewayId: string; readonly user: string };
  /** Server seconds, by the home gateway's clock. */
  readonly refusedAt: number;
}

/**
 * @param request the body of step 8 @param answer the home gateway's step 9
 * @throws CpnsError unknown-pne, answer-invalid, and as `verifyRequest` of the home gateway
 */
export function checkReport(
  { request: body, answer }: { readonly request: Bytes; readonly answer: Bytes },
  { primitives, serverKeys }: { readonly primitives: Primitives; readonly serverKeys: ServerKeys },
  { directory, registrations }: Pick<ServerStore, 'directory' | 'registrations'>,
): CheckedReport {
  const request = PneConfirmRequest.decode(body);
  const thumbprint = claimedThumbprint(request);
  const pne = thumbprint && directory.pne(thumbprint);
  const home = pne && directory.gateway(pne.homeGatewayId);
  if (!pne || !home) throw new CpnsError('unknown-pne');
  // What became of the PNE since then is no matter of what was signed.
  const own = { thumbprint: pne.thumbprint, key: pne.key, revoked: false };
  const { gatewayId } = home;
  const session = { primitives, serverKeys, gatewayId, request, pne: own, rules: [], subscription: '' };
  const { joinId, pnId, asking, claimedPnName } = verifyRequest(session);
  const { value } = openSigned(
    primitives,
    PneConfirmResponsePayload,
    () => [home.key],
    request.th3,
    answer,
    'answer-invalid',
  );
  if (value.reason === 'ok' || registrations.registrationOfJoin(joinId)?.state === 'registered')
    throw new CpnsError('answer-invalid', 'its home said yes');
  return {
    joinId: toHex(joinId),
    gateway: { gatewayId: toHex(asking.gatewayId), user: asking.user, label: asking.gateway },
    pne: toHex(pne.thumbprint),
    pnId: toHex(pnId),
    claimedPnName,
    home: { gatewayId: toHex(gatewayId), user: home.userLabel },
    refusedAt: value.decidedAt,
  };
}
