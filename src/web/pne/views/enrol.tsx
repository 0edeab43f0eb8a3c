/** Entering the home gateway's code: pasted, typed or scanned. The code is a secret: once taken it is not shown again. */
import { useState } from 'preact/hooks';
import { canScan } from '../scanner.ts';
import type { AppState } from '../state.ts';
import type { Actions } from './actions.ts';
import { Scanner } from './scanner.tsx';

export function EnrolCard({ state, actions }: { readonly state: AppState; readonly actions: Actions }) {
  return (
    <section class="card" aria-labelledby="enrol">
      <h2 id="enrol">{state.owner ? 'Give this device a new home' : 'Make it yours'}</h2>
      {state.hasCode ? <CodeTaken actions={actions} /> : <CodeForm state={state} actions={actions} />}
    </section>
  );
}

function CodeTaken({ actions }: { readonly actions: Actions }) {
  return (
    <>
      <p>The code is taken. Stand near your home gateway and choose it in the list that comes now.</p>
      <button type="button" class="button button-primary button-wide" onClick={() => actions.enrol()}>
        Choose my home gateway
      </button>
      <button type="button" class="button button-wide" onClick={() => actions.forgetCode()}>
        Use another code
      </button>
    </>
  );
}

function CodeForm({ state, actions }: { readonly state: AppState; readonly actions: Actions }) {
  const [text, setText] = useState('');
  const [scans, setScans] = useState(false);
  const { codeFault } = state;
  const submit = (event: Event) => {
    event.preventDefault();
    if (actions.enterCode(text)) setText('');
  };
  if (scans)
    return (
      <Scanner
        onText={(found) => {
          if (actions.enterCode(found)) setScans(false);
        }}
        onClose={() => setScans(false)}
      />
    );
  return (
    <>
      <p class="quiet">
        At your home gateway, show its code: <span class="code">cpns gateway qr</span>. Scan it with this
        phone’s camera, or enter it here. It is good for ten minutes.
      </p>
      <form class="stack" onSubmit={submit}>
        <div class="field">
          <label for="code">Code of your home gateway</label>
          <textarea
            id="code"
            class="code"
            rows={3}
            autocomplete="off"
            autocapitalize="characters"
            spellcheck={false}
            value={text}
            aria-invalid={codeFault ? 'true' : undefined}
            aria-describedby={codeFault ? 'code-fault' : undefined}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          {codeFault && (
            <p id="code-fault" class="fault" role="alert">
              {codeFault}
            </p>
          )}
        </div>
        <button type="submit" class="button button-primary button-wide" disabled={text.trim() === ''}>
          Take this code
        </button>
        {canScan() && (
          <button type="button" class="button button-wide" onClick={() => setScans(true)}>
            Scan with the camera
          </button>
        )}
      </form>
    </>
  );
}
