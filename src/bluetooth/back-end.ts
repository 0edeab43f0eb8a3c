/** The back-ends there are, by the name that a configuration writes. Owns the names only: libraries.ts has the rest. */

/** Whose noble and bleno: those of abandonware are always installed, those of stoprocent only where wanted. */
export const BACK_ENDS = ['abandonware', 'stoprocent'] as const;
export type BackEnd = (typeof BACK_ENDS)[number];

export interface BackEndChoice {
  /** Default: `abandonware`. */
  readonly backEnd?: BackEnd | undefined;
}
