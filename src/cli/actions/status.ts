/**
 * `cpns ROLE status`: asks the daemon and prints what it says.
 */
import type { Role } from '../../config/paths.ts';
import { callControl } from '../../nodes/control-socket.ts';
import { fields, print } from '../output.ts';
import { existingState, type RoleOptions } from '../roles.ts';

export async function showStatus(
  role: Role,
  options: RoleOptions & { readonly json?: boolean },
): Promise<void> {
  const status = await callControl(existingState(role, options), 'status');
  print(options.json, status, () => fields(status));
}
