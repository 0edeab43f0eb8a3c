/** A server in a process of its own, for tests that kill it. Prints its address. Does nothing when only loaded. */
import { openServer } from '../../src/nodes/server/server.ts';

const [, program = '', stateDir = ''] = process.argv;
if (program.endsWith('server-child.ts')) {
  const opened = openServer({ stateDir, port: 0 });
  opened.then(
    (server) => console.log(server.url),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
