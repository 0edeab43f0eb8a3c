/**
 * The "PN GW #1 address": which gateway of which operator answers for a PNE.
 * Owns its text form. Source: docs/protocol.md §4.5.
 */
import { fromHex, toHex } from '../base/bytes.ts';
import { CpnsError } from '../base/errors.ts';
import { GatewayId } from '../base/ids.ts';
import { homeAddress, realm } from './common.ts';

export interface HomeAddress {
  readonly gatewayId: GatewayId;
  readonly realm: string;
}

const schema = homeAddress();
const realmSchema = realm();

/**
 * Reads `<gatewayId as 16 lower-case hex digits>@<realm>`.
 * @throws CpnsError home-address-malformed
 */
export function parseHomeAddress(text: string): HomeAddress {
  try {
    schema.fromCbor(text, 'address');
    const [id = '', name = ''] = text.split('@');
    realmSchema.fromCbor(name, 'realm');
    return { gatewayId: GatewayId(fromHex(id)), realm: name };
  } catch (error) {
    throw new CpnsError('home-address-malformed', undefined, { cause: error });
  }
}

/** @throws TypeError when the realm is not one */
export function formatHomeAddress(address: HomeAddress): string {
  realmSchema.toCbor(address.realm, 'realm');
  return `${toHex(address.gatewayId)}@${address.realm}`;
}
