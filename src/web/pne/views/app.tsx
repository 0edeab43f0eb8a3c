/** Chooses the screen. */
import { useEffect, useState } from 'preact/hooks';
import type { Observable } from '../../shared/observable.ts';
import type { Unsupported } from '../platform.ts';
import type { AppState } from '../state.ts';
import type { Actions } from './actions.ts';
import { Home } from './home.tsx';
import { Network } from './network.tsx';
import { Bar } from './parts.tsx';
import { Run } from './run.tsx';
import { SettingsScreen } from './settings.tsx';

export function App({
  observable,
  actions,
}: {
  readonly observable: Observable<AppState>;
  readonly actions: Actions;
}) {
  const [state, setState] = useState(observable.value);
  useEffect(() => {
    setState(observable.value);
    return observable.subscribe(setState);
  }, []);
  return <div class="page">{screenOf(state, actions)}</div>;
}

function screenOf(state: AppState, actions: Actions) {
  const { screen, run, networks } = state;
  if (screen.name === 'run' && run) return <Run key="run" state={state} run={run} actions={actions} />;
  if (screen.name === 'settings') return <SettingsScreen key="settings" state={state} actions={actions} />;
  const network = screen.name === 'network' && networks.find(({ pnId }) => pnId === screen.pnId);
  if (network) return <Network key={network.pnId} state={state} network={network} actions={actions} />;
  return <Home key="home" state={state} actions={actions} />;
}

/** In place of everything, when the page can't work here. */
export function Blocked({ says, next }: Unsupported) {
  return (
    <div class="page">
      <Bar title="Personal network" />
      <main class="stack">
        <section class="card" role="alert">
          <h2>{says}</h2>
          <ul class="stack">
            {next.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </section>
      </main>
    </div>
  );
}
