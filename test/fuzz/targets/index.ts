/** All targets, in the order of the report. */
import type { Target } from '../target.ts';
import { cborTarget } from './cbor.ts';
import { channelTarget, clientTarget } from './channel.ts';
import { attTarget, framerTarget, radioTarget, transportTarget } from './hci.ts';
import { httpsTarget } from './https.ts';
import { linkTarget, splitTarget } from './link.ts';
import { configTarget, controlTarget, traceTarget } from './local.ts';
import { machinesTarget } from './machines.ts';
import { messagesTarget } from './messages.ts';
import { securityTarget } from './security.ts';
import { stackTarget } from './stack.ts';

export const TARGETS: readonly Target[] = [
  cborTarget,
  messagesTarget,
  securityTarget,
  linkTarget,
  splitTarget,
  machinesTarget,
  configTarget,
  controlTarget,
  traceTarget,
  framerTarget,
  transportTarget,
  attTarget,
  radioTarget,
  stackTarget,
  httpsTarget,
  channelTarget,
  clientTarget,
];
