import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { BenchError } from './bench.js';

/** Where the traces are looked for: they are read in place, and are no part of the project. */
const FOLDERS = [process.env['TRANSLOCATOR_TRACES'], join(process.cwd(), '../shared/traces')];

/** The path of a trace. @throws {BenchError} where it is not on this machine. */
export function traceFile(name: string): string {
  const folder = FOLDERS.find((each) => each !== undefined && existsSync(join(each, name)));
  if (folder === undefined) throw new BenchError(`${name} is not here; TRANSLOCATOR_TRACES names the folder of the traces`);
  return join(folder, name);
}
