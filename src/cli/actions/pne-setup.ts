/**
 * `cpns pne init` and `answer`.
 */
import { join } from 'node:path';
import { pneExample } from '../../config/pne-config.ts';
import { callControl } from '../../nodes/control-socket.ts';
import { loadOrCreateKey } from '../../security/keystore.ts';
import { UsageError } from '../exit-codes.ts';
import { print } from '../output.ts';
import { createState, existingState, type RoleOptions, writeFirstConfig } from '../roles.ts';

/** Makes the identity key of a PNE; harmless when it is there. */
export function makePne(stateDir: string): void {
  loadOrCreateKey(join(stateDir, 'identity.pem'));
}

export function pneInit(options: RoleOptions & { readonly adapter: string }): void {
  const stateDir = createState('pne', options);
  makePne(stateDir);
  const { file, written } = writeFirstConfig('pne', options, pneExample(options.adapter));
  print(false, undefined, () =>
    [
      `PNE state in ${stateDir}`,
      `configuration ${written ? 'written to' : 'is'} ${file}`,
      'next: cpns pne enrol, with `cpns gateway pair` at the home gateway',
    ].join('\n'),
  );
}

export async function pneAnswer(answer: string, options: RoleOptions): Promise<void> {
  if (answer !== 'join' && answer !== 'decline') throw new UsageError('the answer is join or decline');
  await callControl(existingState('pne', options), 'answer', { join: answer === 'join' });
  print(false, undefined, () => (answer === 'join' ? 'joining' : 'declined'));
}

export async function pneForget(pnId: string, options: RoleOptions): Promise<void> {
  if (!/^[0-9a-f]{16}$/.test(pnId)) throw new UsageError('a PN ID has 16 lower-case hexadecimal digits');
  await callControl(existingState('pne', options), 'forget', { pnId });
  print(false, undefined, () => `left ${pnId}`);
}
