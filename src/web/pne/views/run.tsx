/** One attempt as it goes: the ladder, the question with join and decline, and how it ended with what to do next. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { LadderView } from '../../shared/ladder-view.tsx';
import { adviceFor, type NextAction } from '../advice.ts';
import { enrolLadderOf, resumeLadderOf } from '../enrol-ladder.ts';
import { ladderOf, sentenceOf, waitingWords } from '../ladder.ts';
import type { AppState, RunView } from '../state.ts';
import type { Actions } from './actions.ts';
import { Bar, LinkBadge } from './parts.tsx';

const TITLES = {
  enrol: 'Making this device yours',
  establish: 'Joining a network',
  resume: 'Coming back to a network',
} as const;

interface Props {
  readonly state: AppState;
  readonly run: RunView;
  readonly actions: Actions;
}

export function Run({ state, run, actions }: Props) {
  const steps = stepsOf(run);
  const isOver = run.result !== undefined;
  return (
    <>
      <Bar title={TITLES[run.purpose]} onBack={isOver ? () => actions.show({ name: 'home' }) : undefined}>
        <LinkBadge link={state.link} />
      </Bar>
      <main class="stack">
        <p class="hidden" role="status">
          {sayNow(state, run)}
        </p>
        {run.question && <Question run={run} question={run.question} actions={actions} />}
        {run.digits && !isOver && <Digits digits={run.digits} />}
        {run.result && <Result state={state} run={run} actions={actions} />}
        {run.course.waiting && !isOver && (
          <div class="notice" role="status">
            {waitingWords(run.course.waiting)}
          </div>
        )}
        {state.link.state === 'lost' && !isOver && (
          <div class="notice" role="status">
            The link was lost. This device connects again by itself; stay near the gateway.
          </div>
        )}
        <section class="card" aria-label="Step by step">
          <LadderView steps={steps} label={TITLES[run.purpose]} />
        </section>
        {!isOver && !run.question && (
          <button
            type="button"
            class="button button-wide"
            onClick={() => {
              actions.hangUp();
              actions.show({ name: 'home' });
            }}
          >
            Stop
          </button>
        )}
      </main>
    </>
  );
}

/** A resumed join that has no outcome yet is somewhere on the way of the thirteen steps. */
function stepsOf({ purpose, course, result }: RunView) {
  if (purpose === 'enrol') return enrolLadderOf(course);
  const isOpenJoin = purpose === 'resume' && course.state === 'resuming';
  if (purpose === 'resume' && !isOpenJoin) return resumeLadderOf(course);
  return ladderOf(result?.kind === 'member' ? { state: 'member' } : course);
}

function sayNow({ link }: AppState, { purpose, course, question }: RunView): string {
  if (question) return 'The gateway asks whether you want to join. Your answer is needed.';
  if (course.state === 'connecting')
    return link.state === 'open' ? 'Connected.' : 'Connecting over Bluetooth.';
  // What is waited for is told by a notice of its own.
  return purpose === 'establish' && !course.waiting ? sentenceOf(course) : '';
}

function Question({
  run,
  question,
  actions,
}: {
  readonly run: RunView;
  readonly question: NonNullable<RunView['question']>;
  readonly actions: Actions;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => heading.current?.focus(), []);
  return (
    <section class="card question" aria-labelledby="question">
      <h2 id="question" tabIndex={-1} ref={heading}>
        {question.refresh ? `Join “${question.claimedName}” anew?` : `Join “${question.claimedName}”?`}
      </h2>
      <dl class="facts">
        <dt>Whose gateway</dt>
        <dd>{question.userLabel}</dd>
        <dt>Gateway</dt>
        <dd>{question.gatewayLabel}</dd>
        <dt>Network</dt>
        <dd>{question.claimedName}</dd>
      </dl>
      <p class="quiet small">
        The operator vouches for the person and the gateway; the network’s name is only what the gateway calls
        it.
        {question.refresh && ' This device is in it already: joining again makes its keys fresh.'} Your home
        gateway is asked, too, and may be charged.
      </p>
      <Countdown beforeMs={run.answerBeforeMs} />
      <div class="row">
        <button type="button" class="button button-primary" onClick={() => actions.answer('ok')}>
          Join
        </button>
        <button type="button" class="button" onClick={() => actions.answer('declined')}>
          Decline
        </button>
      </div>
    </section>
  );
}

/** The answer is given at the gateway: here there is nothing to click. */
function Digits({ digits }: { readonly digits: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => heading.current?.focus(), []);
  return (
    <section class="card question" aria-labelledby="digits-title">
      <h2 id="digits-title" tabIndex={-1} ref={heading}>
        Compare this number
      </h2>
      <p class="digits code" id="digits">
        {digits.slice(0, 3)} {digits.slice(3)}
      </p>
      <p class="quiet small">
        Your home gateway shows a number, too, and asks whether it is the same. Answer there, within a minute.
      </p>
    </section>
  );
}

function Countdown({ beforeMs }: { readonly beforeMs: number | undefined }) {
  const left = () =>
    beforeMs === undefined ? 0 : Math.max(0, Math.ceil((beforeMs - performance.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    const timer = setInterval(() => setSeconds(left()), 1000);
    return () => clearInterval(timer);
  }, [beforeMs]);
  return <p class="small">No answer within {seconds} s counts as a no.</p>;
}

function Result({ state, run, actions }: Props) {
  const { result } = run;
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => heading.current?.focus(), []);
  if (!result) return null;
  if (result.kind === 'failed') return <Refusal state={state} run={run} actions={actions} />;
  const isEnrolled = result.kind === 'enrolled';
  const name = isEnrolled ? '' : (state.networks.find(({ pnId }) => pnId === result.pnId)?.name ?? '');
  return (
    <section class="notice notice-good stack">
      <h2 tabIndex={-1} ref={heading}>
        {isEnrolled ? `This device is now ${result.userLabel}’s` : `You are in “${name}”`}
      </h2>
      <p>
        {isEnrolled
          ? 'It can join personal networks; your home gateway answers for it.'
          : 'The link stays open while this page is.'}
      </p>
      <button
        type="button"
        class="button button-primary"
        onClick={() => actions.show(isEnrolled ? { name: 'home' } : { name: 'network', pnId: result.pnId })}
      >
        {isEnrolled ? 'Go on' : 'See who is in'}
      </button>
    </section>
  );
}

const ACTION_LABELS: Readonly<Record<NextAction, string>> = {
  again: 'Try again',
  choose: 'Choose a gateway',
  enrol: 'Enter a code',
  leave: 'Look at my networks',
  home: 'Back to the start',
};

function Refusal({ state, run, actions }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => heading.current?.focus(), []);
  if (run.result?.kind !== 'failed') return null;
  const { status } = run.result;
  const { says, next, action } = adviceFor(status, run.purpose === 'enrol');
  const isEnrolling = run.purpose === 'enrol' && action === 'again';
  const act = () => {
    if (action === 'home' || action === 'leave' || action === 'enrol') {
      if (action === 'enrol') actions.forgetCode();
      actions.show({ name: action === 'enrol' && state.owner ? 'settings' : 'home' });
    } else if (run.purpose === 'enrol') actions.enrol();
    else actions.join();
  };
  return (
    <section class={`notice stack ${status === 'declined' ? '' : 'notice-bad'}`}>
      <h2 tabIndex={-1} ref={heading}>
        {says}
      </h2>
      <p>{next}</p>
      <div class="row">
        <button type="button" class="button button-primary" onClick={act}>
          {ACTION_LABELS[action]}
        </button>
        {isEnrolling && (
          <button
            type="button"
            class="button"
            onClick={() => {
              actions.forgetCode();
              actions.show({ name: state.owner ? 'settings' : 'home' });
            }}
          >
            Use another code
          </button>
        )}
        {action !== 'home' && !isEnrolling && (
          <button type="button" class="button" onClick={() => actions.show({ name: 'home' })}>
            Not now
          </button>
        )}
      </div>
      <p class="small quiet">
        Reason: <span class="code">{status}</span>
      </p>
    </section>
  );
}
