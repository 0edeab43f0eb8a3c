/**
 * Who an adapter is and which firmware profile it has, for whoever wants to know without using it: from the system alone,
 * or from the controller too, which takes opening it.
 */
import { isPresent, systemIdentity } from './adapter-identity.ts';
import { type ChosenProfile, chooseProfile } from './adapter-profile.ts';
import { formatMoniker, parseMoniker } from './hci/moniker.ts';
import { openTransport } from './hci/transport.ts';
import { adapterUnavailable } from './hci/unavailable.ts';

export interface IdentifyOptions {
  /** Open it, ask, and close it again. Default: only where nothing else says anything, behind a socket. */
  readonly open?: boolean | undefined;
  /** Firmware profile to take whatever it is: a name, or a file. */
  readonly profile?: string | undefined;
}

/** @throws MonikerError, ProfileError, BluetoothUnavailableError (with `.mend`) */
export async function identifyAdapter(
  moniker: string,
  { open, profile }: IdentifyOptions = {},
): Promise<ChosenProfile> {
  const parsed = parseMoniker(moniker);
  if (open ?? parsed.kind !== 'hci') {
    const transport = await openTransport(moniker, { profile });
    transport.close();
    return transport.chosen;
  }
  const identity = systemIdentity(parsed);
  if (parsed.kind === 'hci' && !isPresent(parsed)) {
    throw adapterUnavailable(
      formatMoniker(parsed),
      parsed.index,
      Object.assign(new Error(), { code: 'ENODEV' }),
    );
  }
  return chooseProfile(identity, profile);
}
