/** Draws a ladder of steps. What the steps are and how far they have come is its owner's. */

export interface ShownStep {
  readonly number: number;
  readonly title: string;
  readonly detail: string;
  /** Whether the reader's own party takes part in it. */
  readonly here: boolean;
  readonly state: 'ahead' | 'now' | 'done' | 'failed';
}

const MARKS = { done: '✓', failed: '✕' } as const;
const SPOKEN = { ahead: 'to come', now: 'going on', done: 'done', failed: 'failed here' } as const;

export function LadderView({
  steps,
  label,
}: {
  readonly steps: readonly ShownStep[];
  readonly label: string;
}) {
  return (
    <ol class="ladder" aria-label={label}>
      {steps.map((step) => (
        <Step key={step.number} step={step} />
      ))}
    </ol>
  );
}

function Step({ step: { number, title, detail, here, state } }: { readonly step: ShownStep }) {
  const mark = state === 'done' || state === 'failed' ? MARKS[state] : number;
  return (
    <li
      class={`step step-${state}${here ? '' : ' step-elsewhere'}`}
      aria-current={state === 'now' ? 'step' : undefined}
    >
      <span class="step-mark" aria-hidden="true">
        {mark}
      </span>
      <div class="step-body">
        <p class="step-title">
          <span class="hidden">{`Step ${number}, ${SPOKEN[state]}: `}</span>
          {title}
        </p>
        {(state === 'now' || state === 'failed') && <p class="step-detail">{detail}</p>}
      </div>
    </li>
  );
}
