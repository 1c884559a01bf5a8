import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MiB } from '#quantities';

import { type Bench, type Figure, measured, median, ratioAtMost } from '../bench.js';
import { type Contender, decompressAndHash, expand, extractAndMake, PROGRAMS, umociUnpack } from './contenders.js';
import { debianLayer, type DebianLayer, LAYERS } from './debian-layers.js';
import type { ExpandedFile } from './expand-file.js';
import { requirePrograms, runProgram, runScript } from './programs.js';

/** Rounds of which the median counts; every contender runs once in each. */
const ROUNDS = 5;
const FLOOR_BOUND = 1.3;
const HALF = 0.5;

/** What one round came to, in seconds. */
interface Round {
  readonly floor: number;
  readonly extractAndMake: number;
  readonly umoci: number;
  readonly own: ExpandedFile;
}

/** `npm run bench -- expansion`. */
export const expansionBench: Bench = {
  question: 'how long does expanding a layer take, against decompressing it alone, and against the usual ways to unpack it?',

  async run(tell): Promise<readonly Figure[]> {
    await requirePrograms(PROGRAMS);
    const figures: Figure[] = [];
    for (const recipe of LAYERS) {
      const layer = await debianLayer(recipe, tell);
      // Everyone finds the blob in the page cache.
      await runScript('cat "$1" >/dev/null', layer.blob);
      const rounds: Round[] = [];
      while (rounds.length < ROUNDS) {
        const round = await runRound(layer);
        rounds.push(round);
        tell(`${layer.name}, round ${rounds.length} of ${ROUNDS}: floor ${round.floor.toFixed(2)} s, tar and mkfs.erofs ${round.extractAndMake.toFixed(2)} s, `
          + `umoci ${round.umoci.toFixed(2)} s, ours ${round.own.seconds.toFixed(2)} s`);
      }
      figures.push(...figuresOf(layer, rounds));
    }
    return figures;
  },
};

/** One after the other, so that whatever else the machine does falls on all of them. */
async function runRound(layer: DebianLayer): Promise<Round> {
  return {
    floor: await inFolder(decompressAndHash, layer),
    own: await inFolder(expand, layer),
    extractAndMake: await inFolder(extractAndMake satisfies Contender, layer),
    umoci: await inFolder(umociUnpack satisfies Contender, layer),
  };
}

async function inFolder<Result>(contender: (layer: DebianLayer, folder: string) => Promise<Result>, layer: DebianLayer): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'translocator-bench-'));
  try {
    // What the one before left for the disk to do is not this one's to wait for.
    await runProgram('sync', []);
    return await contender(layer, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Ratios are taken within each round, and then their median. */
function figuresOf(layer: DebianLayer, rounds: readonly Round[]): Figure[] {
  const of = (value: (round: Round) => number): number => median(rounds.map(value));
  const named = (name: string): string => `${layer.name}: ${name}`;
  const megabytes = layer.tarBytes / 1e6;
  return [
    measured(named('tar'), megabytes, 'MB'),
    measured(named('blob'), layer.blobBytes / 1e6, 'MB'),
    measured(named('regular files'), layer.files, 'files'),
    measured(named('gunzip and sha256sum'), of(({ floor }) => floor), 's'),
    measured(named('GNU tar and mkfs.erofs'), of((round) => round.extractAndMake), 's'),
    measured(named('umoci unpack'), of(({ umoci }) => umoci), 's'),
    measured(named('expansion, in a process that has expanded before'), of(({ own }) => own.seconds), 's'),
    measured(named('expansion, the first of its process'), of(({ own }) => own.firstSeconds), 's'),
    measured(named('expansion, tar read'), megabytes / of(({ own }) => own.seconds), 'MB/s'),
    measured(named('expansion, peak memory of its process'), of(({ own }) => own.peakRssBytes) / MiB, 'MiB'),
    ratioAtMost(named('expansion'), of((round) => round.own.seconds / round.floor), { against: 'gunzip and sha256sum', bound: FLOOR_BOUND }),
    ratioAtMost(named('expansion'), of((round) => round.own.seconds / round.extractAndMake), { against: 'GNU tar and mkfs.erofs', bound: HALF }),
    ratioAtMost(named('expansion'), of((round) => round.own.seconds / round.umoci), { against: 'umoci unpack', bound: HALF }),
  ];
}
