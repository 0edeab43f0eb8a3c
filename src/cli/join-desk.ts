/**
 * Who decides whether a PNE joins: the rules, else the person at the terminal or behind `cpns pne answer`, whoever is
 * first. Owns the one question that can be open. Must not verify: labels come here after their credential was checked.
 */

import { toHex } from '../base/bytes.ts';
import type { PneConfig } from '../config/pne-config.ts';
import { decideJoin } from '../config/pne-config.ts';
import type { JoinQuestion } from '../establishment/pne-types.ts';

export type JoinAnswer = 'ok' | 'declined';

export interface JoinView {
  readonly pnId: string;
  readonly user: string;
  readonly gateway: string;
  /** A claim of the asking gateway's owner. */
  readonly claimedName: string;
  readonly refresh: boolean;
}

/** Below the 60 s that a gateway waits for step 2. */
const ANSWER_WITHIN_MS = 55_000;

export class JoinDesk {
  readonly #rules: PneConfig['join'];
  readonly #show: (view: JoinView, answer: (join: boolean) => void) => void;
  #open: { readonly view: JoinView; readonly answer: (join: boolean) => void } | undefined;

  /** @param show puts the question to a person who may answer; may do nothing */
  constructor(rules: PneConfig['join'], show: (view: JoinView, answer: (join: boolean) => void) => void) {
    this.#rules = rules;
    this.#show = show;
  }

  get question(): JoinView | undefined {
    return this.#open?.view;
  }

  ask(question: JoinQuestion): Promise<JoinAnswer> {
    const { userLabel: user, gatewayLabel: gateway, claimedName, refresh } = question;
    // A refresh of a membership was decided when it began; only a rule takes it back.
    const decision = decideJoin(this.#rules, { user, gateway });
    if (decision === 'accept' || (refresh && decision === 'ask')) return Promise.resolve('ok');
    if (decision === 'decline') return Promise.resolve('declined');
    const view = { pnId: toHex(question.pnId), user, gateway, claimedName, refresh };
    return new Promise((resolve) => {
      const answer = (join: boolean) => {
        if (this.#open !== open) return;
        clearTimeout(timer);
        this.#open = undefined;
        resolve(join ? 'ok' : 'declined');
      };
      const timer = setTimeout(() => answer(false), ANSWER_WITHIN_MS);
      const open = { view, answer };
      this.#open?.answer(false);
      this.#open = open;
      this.#show(view, answer);
    });
  }

  /** @returns false when nothing is asked */
  answer(join: boolean): boolean {
    const open = this.#open;
    open?.answer(join);
    return open !== undefined;
  }
}
