/** The first screen: whose this device is, its networks, what is still open, and the way in. */
import type { AppState, NetworkView, PendingView } from '../state.ts';
import type { Actions } from './actions.ts';
import { EnrolCard } from './enrol.tsx';
import { Bar, LinkBadge, Notice } from './parts.tsx';

export function Home({ state, actions }: { readonly state: AppState; readonly actions: Actions }) {
  const { owner, networks, pending, notice } = state;
  const isNew = !owner;
  return (
    <>
      <Bar title="Personal network">
        <button
          type="button"
          class="button button-plain"
          aria-label="Settings"
          onClick={() => actions.show({ name: 'settings' })}
        >
          <span aria-hidden="true">⚙</span>
        </button>
      </Bar>
      <main class="stack">
        {notice && <Notice>{notice}</Notice>}
        {isNew ? <Welcome /> : <Owned userLabel={owner.userLabel} homeAddress={owner.homeAddress} />}
        {(isNew || state.hasCode) && <EnrolCard state={state} actions={actions} />}
        {!isNew && (
          <>
            <Networks networks={networks} state={state} actions={actions} />
            {pending.length > 0 && <Pending pending={pending} actions={actions} />}
            <JoinCard hasNetworks={networks.length > 0} actions={actions} />
          </>
        )}
      </main>
    </>
  );
}

function Welcome() {
  return (
    <section class="card" aria-labelledby="welcome">
      <h2 id="welcome">This device is nobody’s yet</h2>
      <p>
        A personal network connects the devices around a person through a gateway nearby. Before this device
        can join one, your own home gateway has to know that it is yours.
      </p>
    </section>
  );
}

function Owned({ userLabel, homeAddress }: { readonly userLabel: string; readonly homeAddress: string }) {
  return (
    <section class="card" aria-labelledby="owned">
      <h2 id="owned">This device belongs to {userLabel}</h2>
      <dl class="facts small">
        <dt>Home gateway</dt>
        <dd class="code">{homeAddress}</dd>
      </dl>
    </section>
  );
}

function Networks({
  networks,
  state,
  actions,
}: {
  readonly networks: readonly NetworkView[];
  readonly state: AppState;
  readonly actions: Actions;
}) {
  if (networks.length === 0) return null;
  return (
    <section class="stack" aria-labelledby="networks">
      <h2 id="networks">Your networks</h2>
      <ul class="list">
        {networks.map((network) => (
          <li key={network.pnId}>
            <button
              type="button"
              class="entry"
              onClick={() => actions.show({ name: 'network', pnId: network.pnId })}
            >
              <span>
                <strong>{network.name}</strong>
                <br />
                <span class="quiet small">{memberCount(network)}</span>
              </span>
              <LinkBadge link={linkOf(network.pnId, state)} />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function memberCount({ members }: NetworkView): string {
  return members.length === 1 ? 'This device is its only member' : `${members.length} members`;
}

/** The one link, as far as it is this network's. */
export function linkOf(pnId: string, { link }: AppState) {
  return (link.state === 'open' || link.state === 'lost') && link.pnId === pnId
    ? link
    : ({ state: 'none' } as const);
}

function Pending({
  pending,
  actions,
}: {
  readonly pending: readonly PendingView[];
  readonly actions: Actions;
}) {
  return (
    <section class="stack" aria-labelledby="pending">
      <h2 id="pending">Signed, not answered yet</h2>
      <ul class="list">
        {pending.map(({ pnId, th3, gatewayId }) => (
          <li key={pnId + gatewayId} class="entry">
            <span>
              Through gateway <span class="code">{gatewayId}</span>
              <br />
              <span class="quiet small">The answer comes when this device is near that gateway again.</span>
            </span>
            <button type="button" class="button" onClick={() => actions.resume(th3)}>
              Ask again
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function JoinCard({ hasNetworks, actions }: { readonly hasNetworks: boolean; readonly actions: Actions }) {
  return (
    <section class="card" aria-labelledby="join">
      <h2 id="join">{hasNetworks ? 'Join another network' : 'Join a network'}</h2>
      <p class="quiet">
        Stand near the gateway and choose it in the list. It then says who it is, and you decide whether to
        join.
      </p>
      <button type="button" class="button button-primary button-wide" onClick={() => actions.join()}>
        Choose a gateway nearby
      </button>
    </section>
  );
}
