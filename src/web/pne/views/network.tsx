/** One network: who is in, whether the link to its gateway is open, and leaving it. */

import { toHex } from '../../../base/bytes.ts';
import { decodeCbor } from '../../../messages/cbor.ts';
import type { AppState, MemberView, NetworkView } from '../state.ts';
import type { Actions } from './actions.ts';
import { linkOf } from './home.tsx';
import { Bar, Confirmed, LinkBadge, Notice } from './parts.tsx';

export function Network({
  state,
  network,
  actions,
}: {
  readonly state: AppState;
  readonly network: NetworkView;
  readonly actions: Actions;
}) {
  const link = linkOf(network.pnId, state);
  const isBusy = link.state === 'open' || link.state === 'lost';
  return (
    <>
      <Bar title={network.name} onBack={() => actions.show({ name: 'home' })} />
      <main class="stack">
        <p>
          <LinkBadge link={link} />
        </p>
        {state.notice && <Notice>{state.notice}</Notice>}
        {network.stale && (
          <div class="notice notice-bad">
            The operator has not spoken of this network for a long time. Connect to its gateway while that is
            online.
          </div>
        )}
        <section class="stack" aria-labelledby="members">
          <h2 id="members">Who is in</h2>
          <ul class="list">
            {network.members.map((member) => (
              <li key={member.handle} class="entry">
                <Member member={member} />
              </li>
            ))}
          </ul>
        </section>
        <section class="card" aria-labelledby="about">
          <h2 id="about">About this network</h2>
          <dl class="facts small">
            <dt>List of members</dt>
            <dd>
              number {network.version}, signed by the operator on {dateOf(network.issuedAt)}
            </dd>
            <dt>Gateway</dt>
            <dd class="code">{network.gatewayId}</dd>
            <dt>Network ID</dt>
            <dd class="code">{network.pnId}</dd>
          </dl>
        </section>
        <div class="row">
          {isBusy ? (
            <button type="button" class="button" onClick={() => actions.hangUp()}>
              Disconnect
            </button>
          ) : (
            <button type="button" class="button button-primary" onClick={() => actions.resume(network.th3)}>
              Connect
            </button>
          )}
          <Confirmed
            label="Leave this network"
            question={`Leave “${network.name}”? Its keys and its list of members are erased from this device.`}
            confirm="Leave"
            onConfirm={() => actions.leave(network.pnId)}
          />
        </div>
      </main>
    </>
  );
}

function Member({ member }: { readonly member: MemberView }) {
  const { handle, label, capability, contents, isThisDevice } = member;
  return (
    <div>
      <p>
        <strong>{label ?? `Member ${handle}`}</strong>{' '}
        {isThisDevice && <span class="badge">this device</span>}
      </p>
      <p class="quiet small">{describe(capability)}</p>
      {contents.length > 0 && (
        <p class="small">
          Offers {contents.map(({ name, mediaType }) => `${name} (${mediaType})`).join(', ')}
        </p>
      )}
    </div>
  );
}

/** A capability is opaque to the protocol: said in words where it is a map of our kind, by its size elsewhere. */
export function describe(capability: Uint8Array): string {
  if (capability.length === 0) return 'It says nothing of itself.';
  try {
    const map = decodeCbor(capability);
    if (!(map instanceof Map)) throw new TypeError('no map');
    return [...map].map(([name, value]) => `${name}: ${plain(value)}`).join(' · ');
  } catch {
    return `${capability.length} bytes of its own kind`;
  }
}

function plain(value: unknown): string {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(plain).join(', ');
  if (value instanceof Map) return [...value].map(([name, inner]) => `${name} ${plain(inner)}`).join(', ');
  return String(value);
}

function dateOf(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString();
}
