/** A server in a process of its own, for tests that kill it. Prints its address. */
import { openServer } from '../../src/nodes/server.ts';

const [stateDir = ''] = process.argv.slice(2);
const server = await openServer({ stateDir, port: 0 });
console.log(server.url);
