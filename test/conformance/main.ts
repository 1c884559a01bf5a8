/**
 * Runs the conformance program of the OCI distribution specification (its folder `conformance`, release 1.1, compiled by `go test -c`) against Debian's docker-registry alone and
 * through the gateway, and compares what came of every test: `npm run test:conformance -- PROGRAM`. The exit code is 0 when both are the same.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { startDebianRegistry } from '../e2e/support/debian-registry.js';
import { freePort } from '../e2e/support/free-port.js';
import { startService } from '../e2e/support/start-service.js';

/** Nobody listens there. */
const NOBODY = 'http://127.0.0.1:9/';
/** How long one run may take, in milliseconds. */
const RUN_MAX_MS = 300_000;

/** What came of each test, by its name. */
type Outcomes = ReadonlyMap<string, 'passed' | 'failed' | 'skipped'>;

async function outcomesAt(program: string, url: string, folder: string): Promise<Outcomes> {
  await mkdir(folder);
  const workflows = { OCI_TEST_PULL: '1', OCI_TEST_PUSH: '1', OCI_TEST_CONTENT_DISCOVERY: '1', OCI_TEST_CONTENT_MANAGEMENT: '1', OCI_HIDE_SKIPPED_WORKFLOWS: '0' };
  const env = { ...process.env, ...workflows, OCI_ROOT_URL: url, OCI_NAMESPACE: 'conformance/one', OCI_CROSSMOUNT_NAMESPACE: 'conformance/two', OCI_REPORT_DIR: folder };
  // Its exit code tells that a test failed, as many do with a registry of version 1.0; what matters is which.
  await new Promise<void>((done) => execFile(program, [], { cwd: folder, env, timeout: RUN_MAX_MS, maxBuffer: 2 ** 28 }, () => done()));
  const report = await readFile(join(folder, 'junit.xml'), 'utf8');
  const outcomes = new Map<string, 'passed' | 'failed' | 'skipped'>();
  for (const [, head = '', body = ''] of report.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const name = /name="([^"]*)"/.exec(head)?.[1] ?? '';
    outcomes.set(name, /<(?:failure|error)/.test(body) ? 'failed' : body.includes('<skipped') ? 'skipped' : 'passed');
  }
  if (outcomes.size === 0) throw new Error(`${program} reported no test`);
  return outcomes;
}

async function main(program: string): Promise<number> {
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'translocator-conformance-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const [alone, behind] = [await freePort(), await freePort()];
  undo.defer(await startDebianRegistry({ folder: join(folder, 'registry-alone'), port: alone, notifyUrl: NOBODY }));
  undo.defer(await startDebianRegistry({ folder: join(folder, 'registry-behind'), port: behind, notifyUrl: NOBODY }));
  const { translocator } = await startService({ folder: join(folder, 'service'), registryUrl: `http://127.0.0.1:${behind}` }, { overrides: { gateway: { enabled: true } } });
  undo.defer(() => translocator.stop());
  const expected = await outcomesAt(program, `http://127.0.0.1:${alone}`, join(folder, 'alone'));
  const found = await outcomesAt(program, translocator.url, join(folder, 'gateway'));
  const different = [...expected].filter(([name, outcome]) => found.get(name) !== outcome);
  for (const [name, outcome] of different) process.stderr.write(`${outcome} alone, ${found.get(name) ?? 'missing'} through the gateway: ${name}\n`);
  const count = (outcomes: Outcomes, outcome: string): number => [...outcomes.values()].filter((each) => each === outcome).length;
  for (const [where, outcomes] of [['alone', expected], ['through the gateway', found]] as const) {
    process.stdout.write(`${where}: ${count(outcomes, 'passed')} passed, ${count(outcomes, 'failed')} failed, ${count(outcomes, 'skipped')} skipped\n`);
  }
  return different.length === 0 && found.size === expected.size ? 0 : 1;
}

const [program] = process.argv.slice(2);
if (program === undefined) {
  process.stderr.write('npm run test:conformance -- PROGRAM, the conformance program of the distribution specification\n');
  process.exitCode = 2;
} else {
  process.exitCode = await main(resolve(program));
}
