/**
 * What the operator signs about keys: the gateway credential (a CWT with a confirmation key) and the set of server keys.
 * Owns the payloads. Must not verify anything. Source: docs/protocol.md §4.4; RFC 8392, RFC 8747.
 */
import { CoseKey, gatewayId, LIMITS, serverKeys, serverSeconds } from './common.ts';
import { message } from './message.ts';
import { named, type TypeOf, text, tuple } from './schema.ts';
import { field, map } from './schema-map.ts';

export const GatewayCredentialPayload = message(
  'GatewayCredentialPayload',
  {
    doc: 'the server says which key, user and name a gateway has',
    section: '4.4',
    signing: { context: 'cpns1/gateway-credential', signer: 'server', over: '', kid: true },
  },
  map({
    expiresAt: field(4, serverSeconds(), 'exp'),
    gatewayId: field(7, gatewayId(), 'cti'),
    confirmation: field(8, map({ key: field(1, CoseKey, 'the gateway key') }), 'cnf'),
    labels: field(
      -65537,
      tuple({
        role: named({ gateway: 2 }),
        user: text({ kind: 'label', maxBytes: LIMITS.userLabel }),
        gateway: text({ kind: 'label', maxBytes: LIMITS.gatewayLabel }),
      }),
      'role, user label, gateway label',
    ),
  }),
);
export type GatewayCredentialPayload = TypeOf<typeof GatewayCredentialPayload>;

export const ServerKeysPayload = message(
  'ServerKeysPayload',
  {
    doc: 'type 33: the keys the operator signs with, for a PNE that does not know a kid',
    section: '4.4',
    signing: { context: 'cpns1/server-keys', signer: 'root', over: '', kid: false },
  },
  map({
    keys: field(1, serverKeys()),
    issuedAt: field(2, serverSeconds(), 'replaces the pinned set when greater'),
  }),
);
export type ServerKeysPayload = TypeOf<typeof ServerKeysPayload>;
