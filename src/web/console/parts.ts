/**
 * Pieces that several sections of the console share: a card, a button that works once at a time, facts, a badge.
 */
import { type Child, h } from './dom.ts';

/** A section with a heading that names it. */
export function card(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  const heading = h('h2', { id: `${id}-title`, tabindex: '-1' }, title);
  return h('section', { class: 'card', id, 'aria-labelledby': `${id}-title` }, heading, ...children);
}

export interface ButtonOptions {
  readonly class?: string;
  readonly label?: string;
}

/** A button whose work is going on for as long as its promise; what it refuses is told below it. */
export function button(
  text: string,
  work: () => Promise<unknown> | undefined,
  say: (error: unknown) => void,
  { class: look = '', label }: ButtonOptions = {},
): HTMLButtonElement {
  const element = h(
    'button',
    {
      type: 'button',
      class: `button ${look}`,
      'aria-label': label,
      on: {
        click: () => onceAtATime(element, work, say),
      },
    },
    text,
  );
  return element;
}

/** @param submit its button @param say tells what the work refused */
export function form(
  submit: HTMLButtonElement,
  work: () => Promise<unknown>,
  say: (error: unknown) => void,
  ...children: readonly Child[]
): HTMLFormElement {
  const onSubmit = (event: Event) => {
    event.preventDefault();
    onceAtATime(submit, work, say);
  };
  return h('form', { class: 'stack', on: { submit: onSubmit } }, ...children);
}

/** Not by `disabled`, which takes the focus away from whoever pressed it by key. */
function onceAtATime(
  element: HTMLButtonElement,
  work: () => Promise<unknown> | undefined,
  say: (error: unknown) => void,
): void {
  if (element.ariaDisabled === 'true') return;
  element.ariaDisabled = 'true';
  say(undefined);
  Promise.resolve()
    .then(work)
    .catch(say)
    .finally(() => {
      element.ariaDisabled = null;
    });
}

export function facts(...rows: readonly (readonly [string, Child] | undefined)[]): HTMLElement {
  const known = rows.filter((row) => row !== undefined);
  return h(
    'dl',
    { class: 'facts' },
    ...known.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  );
}

export type Mood = 'good' | 'bad' | 'busy' | 'quiet';

export function badge(text: string, mood: Mood): HTMLElement {
  const dot = h('span', { class: `dot${mood === 'quiet' ? '' : ` dot-${mood}`}`, 'aria-hidden': 'true' });
  return h('span', { class: 'badge' }, dot, text);
}

/** A place for what went wrong; read out when it changes. */
export function faultLine(): { readonly element: HTMLElement; readonly say: (error: unknown) => void } {
  const element = h('p', { class: 'fault', role: 'alert' });
  const say = (error: unknown) => {
    element.textContent = error instanceof Error ? error.message : '';
  };
  return { element, say };
}

/** Asks before something that can't be taken back. @returns whether it is meant */
export async function confirmed(title: string, text: string, yes: string): Promise<boolean> {
  const answer = await openDialog(title, (close) => [
    h('p', {}, text),
    h(
      'div',
      { class: 'row' },
      h(
        'button',
        { type: 'button', class: 'button', autofocus: true, on: { click: () => close('') } },
        'Cancel',
      ),
      h('button', { type: 'button', class: 'button button-danger', on: { click: () => close('yes') } }, yes),
    ),
  ]);
  return answer === 'yes';
}

/** @param draw what is in it @returns what it was closed with; by Escape nothing */
export function openDialog(
  title: string,
  draw: (close: (answer: string) => void) => readonly Child[],
): Promise<string> {
  return new Promise((resolve) => {
    const children = draw((answer) => dialog.close(answer));
    const heading = h('h2', { id: 'dialog-title' }, title);
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title' }, heading, ...children);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
