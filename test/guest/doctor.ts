/** Running `cpns doctor` in the guest, as a person would, and what it says as values. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

export const MAIN = resolve('dist/src/cli/main.js');
export const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'];

export interface View {
  readonly findings: readonly {
    readonly check: string;
    readonly severity: string;
    readonly sentence: string;
    readonly command: string;
  }[];
  readonly adapters: readonly {
    readonly adapter: string;
    readonly channel: string;
    readonly why: string;
    readonly profile: string;
  }[];
  readonly unseen: readonly { readonly what: string; readonly why: string }[];
  readonly fixes?: readonly { readonly check: string; readonly command: string; readonly result: string }[];
}

export interface Told extends View {
  readonly code: number;
  readonly err: string;
}

export interface Asking {
  /** In front of Node. */
  readonly through?: readonly string[];
  readonly node?: string;
  readonly input?: string;
}

/** Runs the command as a person would. */
export function doctor(
  args: readonly string[],
  { through = [], node = process.execPath, input }: Asking = {},
) {
  const [program = '', ...rest] = [...through, node, MAIN, 'doctor', '--json', ...args];
  return new Promise<Told>((answer, reject) => {
    const child = execFile(program, rest, { timeout: 90_000 }, (error, stdout, err) => {
      const code = typeof error?.code === 'number' ? error.code : error ? -1 : 0;
      try {
        answer({ code, err, ...(JSON.parse(stdout) as View) });
      } catch {
        reject(new Error(`doctor ${args.join(' ')}: exit ${code}: ${stdout}${err}`));
      }
    });
    child.stdin?.end(input ?? '');
  });
}

export const checks = ({ findings }: View): readonly string[] => findings.map(({ check }) => check);

export function only(told: Told, check: string) {
  const found = told.findings.filter((finding) => finding.check === check);
  assert.equal(found.length, 1, `${check} in ${JSON.stringify(told)}`);
  return found[0] ?? assert.fail();
}

/** `fix` mends it: the finding is there before, its command runs, and it is gone. */
export async function mends(
  args: readonly string[],
  check: string,
  run: string,
  extra: readonly string[] = [],
) {
  const before = await doctor(args);
  assert.equal(only(before, check).command.replace(/^sudo /, ''), run.replace(/^sudo /, ''));
  const after = await doctor([...args, '--fix', '--yes', ...extra]);
  const fix = after.fixes?.find((each) => each.check === check);
  assert.equal(fix?.result, 'mended', JSON.stringify(after));
  assert.ok(!checks(after).includes(check));
  return { before, after };
}
