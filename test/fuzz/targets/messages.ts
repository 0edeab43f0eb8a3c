/**
 * Every message declaration: bytes are refused with a documented status or are the encoding of the value they decode to;
 * what `cpns trace` shows of them never throws anything else either. The first part names the message.
 */
import assert from 'node:assert/strict';
import { formatView, messageNames, viewMessage } from '../../../src/cli/trace/message-view.ts';
import { unpadPnSetupResponse } from '../../../src/messages/setup.ts';
import { SAMPLES } from '../../messages/samples.ts';
import { byteAt, documented, type Input, part, pick, type Target, UNREADABLE } from '../target.ts';

const names = messageNames();

export const messagesTarget: Target = {
  name: 'messages',
  about: 'each of the message schemas, and the view of it',
  sources: ['messages/', 'cli/trace/message-view'],
  open: () => ({
    seeds: SAMPLES.flatMap(({ message, minimal, maximal }, i): Input[] =>
      [minimal, maximal].map((value) => [part(i), message.encode(value)]),
    ),
    run: ([chosen, body = part()]) => {
      const { message } = pick(SAMPLES, byteAt(chosen, 0));
      const value = documented(UNREADABLE, () => message.decode(body));
      if (value !== undefined && !message.lossy)
        assert.deepEqual(message.encode(value), body, `${message.name} is not the encoding of its value`);
      if (value !== undefined && message.lossy) message.encode(value);
      documented(UNREADABLE, () => unpadPnSetupResponse(body));
      const view = documented(UNREADABLE, () => viewMessage(pick(names, byteAt(chosen, 0)), body));
      if (view !== undefined)
        assert.doesNotMatch(formatView(view, ''), /[^\P{Cc}\n]/u, 'a control character for the terminal');
    },
  }),
};
