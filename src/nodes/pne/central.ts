/**
 * The mirrored arrangement at a PNE: whom it connects to, and when (docs/protocol.md §2.2). Reads what gateways announce and
 * chooses between enrolment with a code it was given, resumption and establishment. Must not know what is done on a link.
 */
import { equal, toHex } from '../../base/bytes.ts';
import { JOIN_ID_BYTES, JoinId } from '../../base/ids.ts';
import type { Status } from '../../base/statuses.ts';
import type { Clock } from '../../base/time.ts';
import type { Central, GattLink } from '../../bluetooth/ports.ts';
import type { KnownJoin } from '../../establishment/pne-types.ts';
import { type Announced, showsCode } from '../../network/advertisement.ts';
import type { Primitives } from '../../security/primitives.ts';
import { Recognition } from '../recognition.ts';
import { type Purpose, Scan } from '../scan.ts';
import type { GivenCode, PnePurpose } from './link-events.ts';

/** Announcements of strangers for which it is remembered what was tried. */
const MAX_REMEMBERED = 64;

export interface PneCentralOptions {
  readonly central: Central;
  readonly primitives: Primitives;
  readonly clock: Clock;
  /** What holds now. */
  readonly state: () => {
    readonly linked: boolean;
    readonly enrolled: boolean;
    readonly code: GivenCode | undefined;
    readonly joins: readonly KnownJoin[];
  };
  /** A link is up. Settles when it is down. */
  readonly made: (gatt: GattLink, purpose: PnePurpose, proven: () => void) => Promise<Status>;
  readonly onConnectFailed: (address: string, status: Status) => void;
}

/** `probe`: whether the gateway knows this join is not certain, its tag was not seen. */
interface Choice {
  readonly purpose: PnePurpose;
  readonly probe: string | undefined;
}

export class PneCentral {
  readonly #options: PneCentralOptions;
  readonly #scan: Scan<Choice>;
  readonly #recognition: Recognition;
  /** How many joins a gateway that announces so did not know, by announcement. */
  readonly #probed = new Map<string, number>();

  constructor(options: PneCentralOptions) {
    this.#options = options;
    const { central, primitives, clock, state, onConnectFailed } = options;
    const remembered = {
      resumable: () => state().joins.map((join) => ({ joinId: joinIdOf(join), rms: join.rms })),
      revision: () =>
        state()
          .joins.map(({ th3 }) => toHex(th3))
          .join(),
    };
    this.#recognition = new Recognition(remembered, primitives);
    this.#scan = new Scan<Choice>({
      central,
      clock,
      onConnectFailed,
      choose: (announced, repeated) => this.#choose(announced, repeated),
      serve: (gatt, choice, proven) => this.#serve(gatt, choice, proven),
    });
  }

  start(): Promise<void> {
    return this.#scan.start();
  }

  stop(): Promise<void> {
    return this.#scan.stop();
  }

  /** There is a new code, owner or join. */
  reconsider(): void {
    this.#scan.reconsider();
  }

  #choose(announced: Announced, repeated: boolean): Purpose<Choice> | 'later' | undefined {
    const { primitives, clock, state } = this.#options;
    const { linked, enrolled, code, joins } = state();
    if (announced.mode === 'pne') return undefined;
    if (linked) return 'later';
    const choice = (
      key: string,
      stranger: boolean,
      purpose: PnePurpose,
      probe?: string,
    ): Purpose<Choice> => ({
      key,
      stranger,
      value: { purpose, probe },
    });
    if (code && showsCode(primitives, announced, code.secret))
      return choice('enrol', false, { kind: 'enrol', code });
    const joinId = this.#recognition.joinOf(announced, repeated, clock.monotonicMs());
    if (joinId === 'later') return 'later';
    const shown = joinId && joins.find((join) => equal(joinIdOf(join), joinId));
    if (shown) return choice(`resume ${toHex(shown.th3)}`, false, { kind: 'resume', join: shown });
    if (!announced.join || !enrolled) return undefined;
    const name = `${toHex(announced.salt)}${toHex(announced.tags)}`;
    // A gateway of many PNEs shows few tags at a time: a join that it may know is tried before another is made.
    const join = joins[this.#probed.get(name) ?? 0];
    const purpose: PnePurpose = join ? { kind: 'resume', join } : { kind: 'establish' };
    return choice(`stranger ${name}`, true, purpose, join && name);
  }

  async #serve(gatt: GattLink, { purpose, probe }: Choice, proven: () => void): Promise<Status> {
    // Another link may have come up while this one was being made.
    if (this.#options.state().linked) {
      await gatt.close();
      return 'ok';
    }
    const status = await this.#options.made(gatt, purpose, proven);
    // Whoever was of no use to a PNE that was nobody's is looked at again.
    if (purpose.kind === 'enrol' && status === 'ok') this.#scan.reconsider();
    if (probe === undefined || status !== 'unknown-session') return status;
    this.#probed.set(probe, (this.#probed.get(probe) ?? 0) + 1);
    const [oldest] = this.#probed.keys();
    if (this.#probed.size > MAX_REMEMBERED && oldest !== undefined) this.#probed.delete(oldest);
    return 'ok';
  }
}

function joinIdOf({ th3 }: KnownJoin): JoinId {
  return JoinId(th3.slice(0, JOIN_ID_BYTES));
}
