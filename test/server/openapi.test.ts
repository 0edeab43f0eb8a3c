/** docs/openapi.yaml and the table of routes say the same: paths, methods, bodies, who may call. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'mocha';
import type { Route } from '../../src/https/server-routes.ts';
import { type ApiPorts, type Caller, serverRoutes } from '../../src/nodes/server/api.ts';

interface Described {
  readonly operation: string;
  body: string | undefined;
  open: boolean;
}

/** Reads the paths of the description: enough of YAML for a file that we write ourselves. */
function describedRoutes(yaml: string): readonly Described[] {
  const described: Described[] = [];
  let path = '';
  const paths = yaml.slice(yaml.indexOf('\npaths:\n'), yaml.indexOf('\ncomponents:\n'));
  for (const line of paths.split('\n')) {
    path = /^ {2}\/(\S+):$/.exec(line)?.[1] ?? path;
    const method = /^ {4}(get|put|post|delete|patch):$/.exec(line)?.[1];
    if (method)
      described.push({ operation: `${method.toUpperCase()} ${path}`, body: undefined, open: false });
    const last = described.at(-1);
    const body = /^ {6}requestBody: \{ \$ref: "#\/components\/requestBodies\/(\w+)" \}$/.exec(line)?.[1];
    if (last && body) last.body = body;
    if (last && line === '      security: []') last.open = true;
  }
  return described;
}

describe('docs/openapi.yaml', () => {
  const yaml = readFileSync(new URL('../../docs/openapi.yaml', import.meta.url), 'utf8');
  // The handlers are not called.
  const routes: readonly Route<Caller>[] = serverRoutes({} as ApiPorts);

  it('describes each route of the table, and no other', () => {
    const inTable = routes.map(({ method, pattern, body, access }) => ({
      operation: `${method} ${pattern}`,
      body: body?.name,
      open: access === 'anyone',
    }));
    const order = (a: { operation: string }, b: { operation: string }) =>
      a.operation < b.operation ? -1 : 1;
    assert.deepEqual([...describedRoutes(yaml)].sort(order), inTable.sort(order));
  });

  it('refers to nothing that it does not have', () => {
    for (const [, section, name] of yaml.matchAll(/#\/components\/(\w+)\/(\w+)/g)) {
      const start = yaml.indexOf(`\n  ${section}:\n`);
      assert.ok(start > 0, section);
      assert.ok(yaml.indexOf(`\n    ${name}:`, start) > 0, `${section}/${name}`);
    }
  });

  it('is in docs/protocol.md, route by route', () => {
    const protocol = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
    for (const { method, pattern } of routes) {
      if (pattern === 'health' || pattern === 'ready') continue;
      assert.ok(protocol.includes(`| ${method} \`${pattern}\``), `${method} ${pattern}`);
    }
  });
});
