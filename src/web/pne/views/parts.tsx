/** Small parts that several screens of the PNE's page use. Everything that comes from a network goes in as text. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { LinkView } from '../state.ts';

/** The head of a screen; it takes the focus when the screen is shown, so that a screen reader says where one is. */
export function Bar({
  title,
  onBack,
  children,
}: {
  readonly title: string;
  readonly onBack?: (() => void) | undefined;
  readonly children?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => heading.current?.focus(), []);
  return (
    <header class="bar">
      {onBack && (
        <button type="button" class="button button-plain" onClick={onBack}>
          <span aria-hidden="true">←</span>
          <span class="hidden">Back</span>
        </button>
      )}
      <h1 tabIndex={-1} ref={heading}>
        {title}
      </h1>
      {children}
    </header>
  );
}

const LINK_WORDS = {
  none: ['', 'Not connected'],
  connecting: ['dot-busy', 'Connecting'],
  open: ['dot-good', 'Connected'],
  lost: ['dot-busy', 'Coming back'],
} as const;

export function LinkBadge({ link }: { readonly link: LinkView }) {
  const [dot, words] = LINK_WORDS[link.state];
  return (
    <span class="badge">
      <span class={`dot ${dot}`} aria-hidden="true" />
      {words}
    </span>
  );
}

/** Told by a screen reader when it comes. */
export function Notice({ children }: { readonly children: ComponentChildren }) {
  return (
    <div class="notice" role="status">
      {children}
    </div>
  );
}

/** Asks once more before something that can't be undone. */
export function Confirmed({
  label,
  question,
  confirm,
  onConfirm,
}: {
  readonly label: string;
  readonly question: string;
  readonly confirm: string;
  readonly onConfirm: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button type="button" class="button button-danger" onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} class="dialog" aria-label={label}>
        <div class="stack">
          <p>{question}</p>
          <div class="row">
            <button
              type="button"
              class="button button-danger"
              onClick={() => {
                dialog.current?.close();
                onConfirm();
              }}
            >
              {confirm}
            </button>
            <button type="button" class="button" onClick={() => dialog.current?.close()}>
              Keep it
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}
