/**
 * Whether a daemon is worth keeping: the rule by which the service manager's watchdog is fed (docs/decisions/0008-watchdog.md).
 * Unhealthy is what a new start may mend, and nothing else: a server that can't be reached, a disk that is full or a flood of
 * requests are said, and change nothing. Pure; owns no timer. That the event loop turns is shown by asking at all.
 */
import type { ChannelState } from '../https/channel-client.ts';

/** What a node finds out about itself when it is asked. Absent is what its role does not have. */
export interface Vitals {
  /** Whether the Bluetooth controller answered a question just now; `away` while it is waited for. */
  readonly controller?: boolean | 'away';
  /** The gateway's channel to its server. */
  readonly channel?: ChannelState;
  /** Whether the server takes connections and its database can be read. */
  readonly serving?: boolean;
  /** What else a person would want to know in a few words. */
  readonly remark?: string | undefined;
}

export interface Verdict {
  readonly healthy: boolean;
  /** One line for people, `systemctl status` shows it. */
  readonly text: string;
}

/** A dial ends within 10 s, or 10 s after it was due by a busy program; past this it never will. */
export const CHANNEL_STUCK_MS = 30_000;

/** @param vitals undefined when they could not be found out in time */
export function judge(vitals: Vitals | undefined): Verdict {
  if (vitals === undefined) return { healthy: false, text: 'it does not answer itself' };
  const parts = [ofController(vitals), ofServing(vitals), ofChannel(vitals.channel)].filter(
    (part) => part !== undefined,
  );
  const remark = vitals.remark === undefined ? [] : [vitals.remark];
  const text = [...parts.map((part) => part.text), ...remark].join('; ');
  return { healthy: parts.every((part) => part.healthy), text: text === '' ? 'runs' : text };
}

function ofController({ controller }: Vitals): Verdict | undefined {
  if (controller === undefined) return undefined;
  // A new start would not bring it back, and the node itself gives up after a while.
  if (controller === 'away') return { healthy: true, text: 'waiting for the Bluetooth adapter' };
  return {
    healthy: controller,
    text: `the Bluetooth controller ${controller ? 'answers' : 'does not answer'}`,
  };
}

function ofServing({ serving }: Vitals): Verdict | undefined {
  if (serving === undefined) return undefined;
  return {
    healthy: serving,
    text: serving ? 'serving' : 'takes no connections, or its database can not be read',
  };
}

function ofChannel(channel: ChannelState | undefined): Verdict | undefined {
  switch (channel?.kind) {
    case undefined:
      return undefined;
    case 'up':
      return { healthy: true, text: 'server channel up' };
    case 'dialling': {
      const healthy = channel.forMs <= CHANNEL_STUCK_MS;
      return {
        healthy,
        text: healthy ? 'server channel being dialled' : 'a dial to the server does not end',
      };
    }
    case 'waiting': {
      // Honest backing off: the server is away, and a new start of this program would not bring it back.
      if (channel.dueInMs >= -CHANNEL_STUCK_MS) {
        const seconds = Math.max(0, Math.ceil(channel.dueInMs / 1000));
        return { healthy: true, text: `server out of reach, dialled again in ${seconds} s` };
      }
      return { healthy: false, text: 'the server is no longer dialled' };
    }
  }
}
