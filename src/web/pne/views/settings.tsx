/** What this device says of itself, what it is, a new home for it, and erasing everything. */
import { useState } from 'preact/hooks';
import {
  contentFault,
  DEVICE_CLASSES,
  type DeviceClass,
  MAX_CONTENTS,
  nameFault,
  type OfferedContent,
  type Settings,
  tidied,
} from '../device.ts';
import type { AppState } from '../state.ts';
import type { Actions } from './actions.ts';
import { EnrolCard } from './enrol.tsx';
import { Bar, Confirmed, Notice } from './parts.tsx';

interface Props {
  readonly state: AppState;
  readonly actions: Actions;
}

export function SettingsScreen({ state, actions }: Props) {
  return (
    <>
      <Bar title="Settings" onBack={() => actions.show({ name: 'home' })} />
      <main class="stack">
        {state.notice && <Notice>{state.notice}</Notice>}
        <DeviceForm state={state} actions={actions} />
        {state.owner && <EnrolCard state={state} actions={actions} />}
        <section class="card" aria-labelledby="key">
          <h2 id="key">Key of this device</h2>
          <p class="quiet">
            It was made in this browser, never leaves it, and can’t be read, not even by this page. Its
            fingerprint:
          </p>
          <p class="code small">{state.thumbprint}</p>
        </section>
        <section class="card" aria-labelledby="erase">
          <h2 id="erase">Start over</h2>
          <p class="quiet">
            Erases the key, the owner and all networks from this browser. The device is a new one afterwards.
          </p>
          <div>
            <Confirmed
              label="Erase everything"
              question="Erase key, owner and networks? This can’t be undone; the device has to be enrolled anew."
              confirm="Erase"
              onConfirm={() => actions.erase()}
            />
          </div>
        </section>
      </main>
    </>
  );
}

function DeviceForm({ state, actions }: Props) {
  const [draft, setDraft] = useState<Settings>(state.settings);
  const change = (part: Partial<Settings>) => setDraft({ ...draft, ...part });
  const fault = nameFault(tidied(draft.name));
  const { platform, screen } = state.known;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!fault) actions.saveSettings({ ...draft, name: tidied(draft.name) });
  };
  return (
    <form class="card" aria-labelledby="device" onSubmit={submit}>
      <h2 id="device">What this device says of itself</h2>
      <p class="quiet">Only to gateways whose network you join, and to its members.</p>
      <div class="field">
        <label for="name">Name</label>
        <input
          id="name"
          value={draft.name}
          placeholder="none"
          autocomplete="off"
          aria-invalid={fault ? 'true' : undefined}
          aria-describedby={fault ? 'name-fault' : undefined}
          onInput={(event) => change({ name: event.currentTarget.value })}
        />
        {fault && (
          <p id="name-fault" class="fault">
            {fault}
          </p>
        )}
      </div>
      <div class="field">
        <label for="class">Kind of device</label>
        <select
          id="class"
          value={draft.deviceClass}
          onChange={(event) => change({ deviceClass: event.currentTarget.value as DeviceClass })}
        >
          {DEVICE_CLASSES.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={draft.tellsBrowserFacts}
          onChange={(event) => change({ tellsBrowserFacts: event.currentTarget.checked })}
        />
        <span>
          Tell what the browser knows, too: {platform}, a screen of {screen}
        </span>
      </label>
      <ContentList contents={draft.contents} onChange={(contents) => change({ contents })} />
      <button type="submit" class="button button-primary" disabled={fault !== undefined}>
        Keep
      </button>
    </form>
  );
}

function ContentList({
  contents,
  onChange,
}: {
  readonly contents: readonly OfferedContent[];
  readonly onChange: (contents: readonly OfferedContent[]) => void;
}) {
  const [name, setName] = useState('');
  const [mediaType, setMediaType] = useState('audio/*');
  const content = { name: tidied(name), mediaType };
  const fault = name === '' ? undefined : contentFault(content);
  const add = () => {
    onChange([...contents, content]);
    setName('');
  };
  return (
    <fieldset class="field">
      <legend>What it offers to the network</legend>
      {contents.length === 0 && <p class="quiet small">Nothing yet.</p>}
      <ul class="list">
        {contents.map((each, index) => (
          <li key={`${each.name} ${each.mediaType}`} class="entry">
            <span>
              {each.name} <span class="quiet small">{each.mediaType}</span>
            </span>
            <button
              type="button"
              class="button button-plain"
              aria-label={`Take ${each.name} away`}
              onClick={() => onChange(contents.filter((_, at) => at !== index))}
            >
              <span aria-hidden="true">✕</span>
            </button>
          </li>
        ))}
      </ul>
      {contents.length < MAX_CONTENTS && (
        <div class="stack">
          <div class="field">
            <label for="content-name">Name of a content</label>
            <input
              id="content-name"
              value={name}
              autocomplete="off"
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </div>
          <div class="field">
            <label for="content-type">Its kind</label>
            <select
              id="content-type"
              value={mediaType}
              onChange={(event) => setMediaType(event.currentTarget.value)}
            >
              {['audio/*', 'image/*', 'video/*', 'text/*', 'application/*'].map((type) => (
                <option key={type} value={type}>
                  {type}
                </option>
              ))}
            </select>
          </div>
          {fault && <p class="fault">{fault}</p>}
          <button type="button" class="button" disabled={name === '' || fault !== undefined} onClick={add}>
            Add it
          </button>
        </div>
      )}
    </fieldset>
  );
}
