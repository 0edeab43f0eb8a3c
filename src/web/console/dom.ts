/**
 * Elements by hand: what is text stays text, whoever chose it. Owns making elements and keeping those whose content did not
 * change, so that focus, open details and what was typed survive an update.
 */

export type Child = Node | string | undefined;

export interface Props {
  readonly class?: string | undefined;
  readonly on?: Readonly<Record<string, (event: Event) => void>>;
  /** Attributes: false and undefined leave one out, true is an empty one. */
  readonly [attribute: string]: unknown;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { on = {}, ...attributes }: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** An element of a picture. */
export function drawn<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

const QUIET_MODULES = 4;

/** A QR as a picture; dark on light in every colour scheme. @param rows a text each, `1` is dark */
export function qrPicture(rows: readonly string[], name: string): SVGElement {
  const side = rows.length + 2 * QUIET_MODULES;
  const at = (row: number, column: number) => `M${column + QUIET_MODULES} ${row + QUIET_MODULES}h1v1h-1z`;
  const modules = rows.flatMap((row, y) => [...row].map((module, x) => (module === '1' ? at(y, x) : '')));
  return drawn(
    'svg',
    {
      ...{ viewBox: `0 0 ${side} ${side}`, class: 'qr', role: 'img', 'aria-label': name },
      'shape-rendering': 'crispEdges',
    },
    drawn('rect', { width: side, height: side, fill: '#fff' }),
    drawn('path', { d: modules.join(''), fill: '#000' }),
  );
}

/**
 * A place that is drawn anew only when what it shows has changed.
 * @param draw its children
 */
export class Region<T> {
  readonly #element: HTMLElement;
  readonly #draw: (value: T) => readonly Child[];
  #shown = '';

  constructor(element: HTMLElement, draw: (value: T) => readonly Child[]) {
    this.#element = element;
    this.#draw = draw;
  }

  update(value: T): void {
    const next = JSON.stringify(value);
    if (next === this.#shown) return;
    this.#shown = next;
    const children = this.#draw(value).filter((child) => child !== undefined);
    keepingFocus(this.#element, () => this.#element.replaceChildren(...children));
  }
}

/** Children by key: one whose value is the same stays as it is, element and all. */
export class KeyedList<T> {
  readonly #element: HTMLElement;
  readonly #keyOf: (item: T) => string;
  readonly #draw: (item: T, before: HTMLElement | undefined) => HTMLElement;
  #shown = new Map<string, { readonly text: string; readonly element: HTMLElement }>();

  /** @param draw an element for the item; `before` is the one that it replaces */
  constructor(
    element: HTMLElement,
    keyOf: (item: T) => string,
    draw: (item: T, before: HTMLElement | undefined) => HTMLElement,
  ) {
    this.#element = element;
    this.#keyOf = keyOf;
    this.#draw = draw;
  }

  update(items: readonly T[]): void {
    keepingFocus(this.#element, () => this.#redraw(items));
  }

  #redraw(items: readonly T[]): void {
    const next = new Map<string, { readonly text: string; readonly element: HTMLElement }>();
    for (const item of items) {
      const key = this.#keyOf(item);
      const text = JSON.stringify(item);
      const known = this.#shown.get(key);
      if (known?.text === text) next.set(key, known);
      else {
        const element = this.#draw(item, known?.element);
        if (known) known.element.replaceWith(element);
        next.set(key, { text, element });
      }
    }
    for (const [key, { element }] of this.#shown) if (!next.has(key)) element.remove();
    const wanted = [...next.values()].map(({ element }) => element);
    for (const [i, element] of wanted.entries()) {
      // Moved only when it stands elsewhere: moving takes the focus away.
      if (this.#element.children[i] !== element)
        this.#element.insertBefore(element, this.#element.children[i] ?? null);
    }
    this.#shown = next;
  }
}

const nameOf = (element: Element): string | null => element.ariaLabel ?? element.textContent;

/**
 * Whoever works by key must not lose their place because something was drawn anew under them: the focus goes on to what has
 * the same name now, else to the heading of the section.
 */
function keepingFocus(container: HTMLElement, redraw: () => void): void {
  const { activeElement: before } = document;
  const wasHere = before !== null && container.contains(before);
  redraw();
  if (!wasHere || container.contains(document.activeElement)) return;
  const controls = [...container.querySelectorAll<HTMLElement>('button, a[href], summary')];
  const again = controls.find((each) => nameOf(each) === nameOf(before));
  const headings = [container.closest('section')?.querySelector('h2'), document.querySelector('h1')];
  (again ?? headings.find((each) => each?.checkVisibility()))?.focus();
}
