/** Checks that a line of a document is a command line of `cpns`, by the real command tree, without running anything. */
import { type Command, CommanderError } from 'commander';
import { buildProgram } from '../../src/cli/program.ts';

/** Words of a simple shell line: quotes are honoured; a redirection or a pipe ends it. */
export function shellWords(line: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (const char of line) {
    if (quote !== '') {
      if (char === quote) quote = '';
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (/[<>|;&#]/.test(char) && word === undefined) return words;
    else word = (word ?? '') + char;
  }
  return word === undefined ? words : [...words, word];
}

/** Every `cpns …` in some lines of shell, `sudo` and `sudo -u NAME` before it left out. */
export function cpnsLines(shell: string): readonly string[] {
  return shell
    .split(/\n|&&/)
    .map((line) => line.trim().replace(/^sudo (-u \S+ )?/, ''))
    .filter((line) => /^cpns\s/.test(line));
}

/** @returns what the real command tree has against it; undefined when it would run */
export async function faultOf(line: string): Promise<string | undefined> {
  const [, ...words] = shellWords(line);
  const program = buildProgram();
  let ran = false;
  everyCommand(program, (command) => {
    command.configureOutput({ writeErr: () => {}, writeOut: () => {} });
    // Of those that have others below them only these do something by themselves.
    if (command.commands.length > 0 && !['approvals', 'pnes', 'reports'].includes(command.name())) return;
    command.action(() => {
      ran = true;
    });
  });
  try {
    await program.parseAsync(words, { from: 'user' });
    return ran ? undefined : 'names no command that does something';
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.code === 'commander.helpDisplayed' && words.includes('--help') ? undefined : error.message;
  }
}

function everyCommand(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const inner of command.commands) everyCommand(inner, act);
}
