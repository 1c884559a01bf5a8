import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { digestOf } from '#oci';
import { formatReplayEvent, formatReplayImage, type ReplayEvent } from '#placement';

const run = promisify(execFile);
const image = { repository: 'team/app', digest: digestOf('image'), layers: [{ digest: digestOf('base'), sizeBytes: 60 }, { digest: digestOf('top'), sizeBytes: 40 }] };
const at = (minute: number): Date => new Date(Date.UTC(2026, 5, 1, 0, minute));
const events: ReplayEvent[] = [
  { kind: 'push', at: at(0), region: 'westus', repository: 'team/app', image: image.digest },
  { kind: 'pull', at: at(1), region: 'eastus', repository: 'team/app', image: image.digest, client: 'a' },
  { kind: 'pull', at: at(2), region: 'eastus', repository: 'team/app', image: image.digest, client: 'b' },
];

describe('npm run replay', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'replay-'));
    await writeFile(join(folder, 'catalog.jsonl'), `${formatReplayImage(image)}\n`);
    await writeFile(join(folder, 'events.jsonl'), events.map((event) => `${formatReplayEvent(event)}\n`).join(''));
    await writeFile(join(folder, 'broken.jsonl'), `${formatReplayEvent(events[0]!)}\n{"kind":"pull","time":"yesterday","region":"eastus"}\n`);
    await writeFile(join(folder, 'regions.json'), JSON.stringify({ home: 'westus', regions: [{ region: 'eastus', usdPerGb: 0.02 }] }));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const replay = (eventsFile: string, ...more: string[]): Promise<{ readonly stdout: string }> =>
    run(process.execPath, ['scripts/run-source.ts', 'apps/translocator/src/replay/main.ts', '--catalog', join(folder, 'catalog.jsonl'), '--events', join(folder, eventsFile), '--regions', join(folder, 'regions.json'), ...more]);

  it('counts hits and bytes of each policy from files, and draws them', async () => {
    // A tenth of the share is kept for what passes, so that demand has room for everything.
    const { stdout } = await replay('events.jsonl', '--policy', 'none', '--policy', 'lru', '--policy', 'replicate-all', '--policy', 'perfect-forecast', '--capacity', '120%', '--json', '--svg', join(folder, 'chart.svg'));
    const { scores } = JSON.parse(stdout) as { scores: { policy: string; total: { all: object; replicatedBytes: number; fallbackBytes: number } }[] };
    expect(scores.map(({ policy, total }) => [policy, total.all, total.fallbackBytes])).toEqual([
      ['none', { pulls: 2, hits: 0 }, 200],
      ['lru', { pulls: 2, hits: 1 }, 100],
      ['replicate-all', { pulls: 2, hits: 2 }, 0],
      ['perfect-forecast', { pulls: 2, hits: 1 }, 100],
    ]);
    expect(await readFile(join(folder, 'chart.svg'), 'utf8')).toMatch(/^<svg [^]*replicate-all[^]*<\/svg>\n$/);
  });

  it('shows a table, with a dash for shares of pulls of which there were none', async () => {
    const { stdout } = await replay('events.jsonl', '--policy', 'lru', '--capacity', '100%');
    const [headings = '', row = ''] = stdout.trim().split('\n').slice(-2);
    const cells = row.trim().split(/ {2,}/);
    expect(Object.fromEntries(headings.trim().split(/ {2,}/).map((heading, n) => [heading, cells[n]]))).toMatchObject({ policy: 'lru', hits: '0.5000', 'worst region': '0.5000', 'first pull': '0.0000', '24 h after push': '0.5000', foreseeable: '-' });
  });

  it('names line, field and rule of an event that cannot be read, and ends with 2', async () => {
    await expect(replay('broken.jsonl', '--policy', 'lru')).rejects.toMatchObject({ code: 2, stderr: 'replay: REPLAY_INVALID: events line 2: time is a time such as 2026-06-01T12:00:00Z, and is "yesterday"\n' });
    await expect(replay('events.jsonl', '--policy', 'belady')).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('--policy is one of none, replicate-all, lru') });
  });
});
