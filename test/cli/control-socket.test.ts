/**
 * The control socket: answers, events, a dead daemon's socket, two daemons, hostile lines, and who may open it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CpnsError } from '../../src/base/errors.ts';
import { LineCutter, MAX_LINE_BYTES, parseReply, parseRequest } from '../../src/nodes/control-lines.ts';
import {
  CONTROL_SOCKET,
  ControlError,
  type ControlHandlers,
  type ControlServer,
  callControl,
  lockState,
  NoDaemonError,
  serveControl,
  textParam,
} from '../../src/nodes/control-socket.ts';

describe('control socket', () => {
  let stateDir = '';
  let server: ControlServer | undefined;

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'cpns-control-'));
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    rmSync(stateDir, { recursive: true, force: true });
  });

  const serve = async (handlers: ControlHandlers): Promise<void> => {
    server = await serveControl(stateDir, handlers);
  };
  const raw = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(join(stateDir, CONTROL_SOCKET), () => resolve(socket));
      socket.on('error', reject);
    });
  /** What the daemon says until it hangs up. */
  const allOf = (socket: Socket): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });

  it('answers, with parameters, and streams events first', async () => {
    await serve({
      count: ({ params, emit }) => {
        emit(1);
        emit({ two: 2 });
        return `hello ${textParam(params, 'name')}`;
      },
    });
    const events: unknown[] = [];
    const onEvent = (one: unknown) => events.push(one);
    assert.equal(await callControl(stateDir, 'count', { name: 'ann' }, { onEvent }), 'hello ann');
    assert.deepEqual(events, [1, { two: 2 }]);
  });

  it('passes on the status of a failure', async () => {
    await serve({
      fail: () => {
        throw new CpnsError('not-enrolled', 'no home');
      },
      break: () => {
        throw new TypeError('a defect');
      },
      typed: ({ params }) => textParam(params, 'name'),
    });
    const failing = (method: string, status: string, message: RegExp) =>
      assert.rejects(callControl(stateDir, method), (error) => {
        assert(error instanceof ControlError);
        assert.equal(error.status, status);
        assert.match(error.message, message);
        return true;
      });
    await failing('fail', 'not-enrolled', /no home/);
    await failing('break', 'internal', /a defect/);
    await failing('typed', 'bad-request', /name has to be a text/);
    await failing('toString', 'bad-request', /no method of that name; there are fail, break, typed/);
  });

  it('is for its owner only', async () => {
    const before = process.umask(0);
    try {
      await serve({});
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(join(stateDir, CONTROL_SOCKET)).mode & 0o777, 0o600);
  });

  it('no daemon: said so, and no file is left or made', async () => {
    await assert.rejects(callControl(stateDir, 'status'), NoDaemonError);
  });

  it('the socket of a dead daemon is replaced', async () => {
    writeFileSync(join(stateDir, CONTROL_SOCKET), 'left behind');
    await serve({ ping: () => 'pong' });
    assert.equal(await callControl(stateDir, 'ping'), 'pong');
  });

  it('one daemon a state directory; released when it ends', () => {
    const first = lockState(stateDir);
    assert.throws(
      () => lockState(stateDir),
      (error) =>
        error instanceof CpnsError && error.status === 'busy' && /another cpns daemon/.test(error.message),
    );
    first.release();
    lockState(stateDir).release();
  });

  it('a path that no UNIX socket can have is refused in words', async () => {
    await assert.rejects(serveControl(join(stateDir, 'x'.repeat(120)), {}), /use a shorter --state/);
  });

  it('whoever sends no request is told and cut off', async () => {
    await serve({ ping: () => 'pong' });
    for (const line of [
      'hello\n',
      '[]\n',
      '{"id":"1","method":"ping"}\n',
      '{"id":1,"method":"ping","params":[]}\n',
    ]) {
      const socket = await raw();
      const said = allOf(socket);
      socket.write(line);
      assert.match(await said, /"status":"bad-request".*not a request/);
    }
    assert.equal(await callControl(stateDir, 'ping'), 'pong');
  });

  it('a line without end is not gathered without end', async () => {
    await serve({ ping: () => 'pong' });
    const socket = await raw();
    const said = allOf(socket);
    socket.write('x'.repeat(MAX_LINE_BYTES + 1));
    assert.match(await said, /a line is too long/);
    assert.equal(await callControl(stateDir, 'ping'), 'pong');
  });

  it('more peers and more open requests than there is room for are turned away', async () => {
    await serve({
      wait: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
    });
    const peers = await Promise.all(Array.from({ length: 16 }, raw));
    const seventeenth = await raw();
    assert.match(await allOf(seventeenth), /too many control connections/);
    const [first] = peers;
    assert(first);
    const answered = new Promise<string>((resolve) => first.once('data', (chunk) => resolve(String(chunk))));
    for (let id = 1; id <= 9; id++) first.write(`{"id":${id},"method":"wait"}\n`);
    assert.deepEqual(parseReply((await answered).trim()), {
      id: 9,
      error: { status: 'busy', message: 'too many open requests' },
    });
    for (const peer of peers) peer.destroy();
  });

  it('a client that hangs up aborts its handler; a daemon that stops says so', async () => {
    const aborted = new Promise<void>((resolve) => {
      void serve({
        wait: ({ signal, emit }) => {
          emit('started');
          return new Promise<void>((done) =>
            signal.addEventListener('abort', () => {
              resolve();
              done();
            }),
          );
        },
      });
    });
    await new Promise(setImmediate);
    const ended = new AbortController();
    const onEvent = () => ended.abort(new Error('enough'));
    await assert.rejects(callControl(stateDir, 'wait', {}, { onEvent, signal: ended.signal }), /enough/);
    await aborted;
  });
});

describe('control lines', () => {
  it('the same lines, however they are cut', () => {
    const bytes = Buffer.from('{"a":1}\n\n{"b":"ü"}\nrest');
    for (let size = 1; size <= bytes.length; size++) {
      const lines: string[] = [];
      const cutter = new LineCutter();
      for (let at = 0; at < bytes.length; at += size) {
        assert.ok(cutter.push(bytes.subarray(at, at + size), (line) => lines.push(line)));
      }
      assert.deepEqual(lines, ['{"a":1}', '', '{"b":"ü"}']);
    }
  });

  it('a request is an object with a number and a name', () => {
    assert.deepEqual(parseRequest('{"id":1,"method":"m"}'), { id: 1, method: 'm', params: {} });
    for (const line of [
      '',
      'null',
      '1',
      '{"id":1.5,"method":"m"}',
      '{"id":1}',
      '{"id":1,"method":"m","params":null}',
    ]) {
      assert.equal(parseRequest(line), undefined, line);
    }
  });
});
