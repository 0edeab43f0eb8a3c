/** What the views may ask for; controller.ts does it. */
import type { Settings } from '../device.ts';
import type { Screen } from '../state.ts';

export interface Actions {
  show(screen: Screen): void;
  enterCode(text: string): boolean;
  forgetCode(): void;
  enrol(): void;
  join(): void;
  resume(th3: Uint8Array): void;
  answer(answer: 'ok' | 'declined'): void;
  hangUp(): void;
  leave(pnId: string): void;
  saveSettings(settings: Settings): void;
  erase(): void;
}
