/**
 * The file that sets a headless device up: role, and for a gateway server and token. Owns the keys. It comes from a boot
 * partition that anybody can write who holds the card, so it is held to the same strictness as any configuration.
 */
import * as v from 'valibot';
import { serverUrl } from './gateway-config.ts';
import { adapter } from './parts.ts';
import { value } from './schema-faults.ts';

export type FirstbootConfig =
  | { readonly role: 'gateway'; readonly server: string; readonly token: string; readonly adapter: string }
  | { readonly role: 'pne'; readonly adapter: string };

const token = value(
  v.pipe(v.string(), v.minLength(1, 'empty'), v.maxLength(256, 'longer than a token is')),
  'what `cpns server token create` printed',
  '"CPNSGW:..."',
);

export const FirstbootSchema = v.pipe(
  v.strictObject({
    role: value(v.picklist(['gateway', 'pne']), '"gateway" or "pne"', '"gateway"'),
    server: v.optional(serverUrl),
    token: v.optional(token),
    adapter: v.optional(adapter, 'hci:0'),
  }),
  v.rawTransform(({ dataset, addIssue, NEVER }): FirstbootConfig => {
    const { role, server, token, adapter } = dataset.value;
    if (role === 'pne') {
      if (server === undefined && token === undefined) return { role, adapter };
      addIssue({ message: 'server and token belong to role = "gateway": a PNE never talks to the server' });
      return NEVER;
    }
    if (server !== undefined && token !== undefined) return { role, server, token, adapter };
    addIssue({ message: 'role = "gateway" needs server and token' });
    return NEVER;
  }),
);
