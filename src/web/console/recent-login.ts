/**
 * What outlasts a login wants a recent one: asks the person to log in once more, and goes on. The gateway says when that is
 * needed; here is what it looks like.
 */
import { type Greeting, get, Refused, whileHungUp } from './client.ts';
import { h } from './dom.ts';
import { linkCard, waysIn } from './login.ts';
import { openDialog } from './parts.ts';

/** @throws Error as `work` does, or when the person does not log in */
export async function withRecentLogin<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused && error.loginTooOld)) throw error;
  }
  const greeting = (await get('greeting')) as Greeting;
  if (!(await whileHungUp(() => loggedIn(greeting)))) throw new Error('Nothing was changed.');
  return work();
}

/** @returns whether it was done */
async function loggedIn(greeting: Greeting): Promise<boolean> {
  const answer = await openDialog('Show that it is you', (close) => [
    h(
      'p',
      {},
      'This browser logged in more than ten minutes ago. What you want to add stays when nobody is logged in any more, so log in once more first.',
    ),
    ...waysIn(greeting, () => close('yes')),
    linkCard('Open the link that it shows in this browser, come back to this page, and try again.'),
    h('button', { type: 'button', class: 'button', on: { click: () => close('') } }, 'Cancel'),
  ]);
  return answer === 'yes';
}
