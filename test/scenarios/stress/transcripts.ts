import { readFile, writeFile } from 'node:fs/promises';

import { CROWDED } from './crowded-scenarios.js';
import { type Scenario, STEADY } from './steady-scenarios.js';
import { WRONG } from './wrong-scenarios.js';

/** Every scenario, by the name of its transcript. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = { ...STEADY, ...CROWDED, ...WRONG };

const pathOf = (name: string): URL => new URL(`../transcripts/${name}.txt`, import.meta.url);

/** The transcript that is kept; undefined where none is. */
export async function keptTranscript(name: string): Promise<string | undefined> {
  try {
    return await readFile(pathOf(name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Keeps a transcript in the place of the one before. */
export async function keepTranscript(name: string, text: string): Promise<void> {
  await writeFile(pathOf(name), text);
}
