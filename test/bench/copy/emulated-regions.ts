import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { AccountTraffic, DisturbanceSettings, FileShareEmulatorOptions } from '#file-share-emulator';
import { GiB, TiB } from '#quantities';
import type { Crc64 } from '#shares';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';

import { BenchError } from '../bench.js';

/** It protects nothing. */
const KEY = Buffer.alloc(64, 'b').toString('base64');
const SHARE = 'layers';

/**
 * Where files are kept in memory. On a disk it is the pages of its cache that are measured: a virtual machine may have lent those that are free to its
 * neighbours, and 4 MiB of them take 10 ms to come back, which is a link of 400 MB/s by itself.
 */
const MEMORY_FOLDER = '/dev/shm';
/** The layers of all parts of the bench and the most that is copied at a time, and room for everybody else. */
const MEMORY_BYTES_MIN = 10 * GiB;

/** An account in a region of the same name. */
export type RegionAccount = string;

/** The product's share, which notes from when to when it was copied to. */
export class TimedShare extends AzureFilesShare {
  /** Milliseconds of `performance.now()`; before the first copy from infinity to 0. */
  readonly copied = { fromMs: Number.POSITIVE_INFINITY, toMs: 0 };

  override async copyRange(...call: Parameters<AzureFilesShare['copyRange']>): Promise<Crc64> {
    this.copied.fromMs = Math.min(this.copied.fromMs, performance.now());
    const crc64 = await super.copyRange(...call);
    this.copied.toMs = performance.now();
    return crc64;
  }
}

/** A share of one region, and the SDK's own way to it. */
export interface ReachedShare {
  readonly share: TimedShare;
  readonly account: AzureFilesAccount;
}

/** One account and share in each of some regions, served by an emulator in a process of its own. */
export class EmulatedRegions {
  readonly names: readonly RegionAccount[];
  /** Whether its files are in memory; otherwise where temporary files are. */
  readonly inMemory: boolean;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #url: string;
  readonly #controlUrl: string;

  private constructor(names: readonly RegionAccount[], parts: { readonly child: ChildProcess; readonly folder: string; readonly url: string; readonly controlUrl: string }) {
    this.names = names;
    this.inMemory = parts.folder.startsWith(MEMORY_FOLDER);
    this.#child = parts.child;
    this.#folder = parts.folder;
    this.#url = parts.url;
    this.#controlUrl = parts.controlUrl;
  }

  /** @throws {BenchError} when it does not come up. */
  static async start(names: readonly RegionAccount[]): Promise<EmulatedRegions> {
    const folder = await mkdtemp(join((await hasMemoryFolder()) ? MEMORY_FOLDER : tmpdir(), 'translocator-bench-copy-'));
    const accounts = names.map((name) => ({ name, key: KEY, region: name }));
    const options: FileShareEmulatorOptions = { folder, accounts, port: 0, controlPort: 0 };
    const child = spawn(process.execPath, [join(import.meta.dirname, 'emulator-program.js'), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) {
      const { url, controlUrl } = JSON.parse(line) as { readonly url: string; readonly controlUrl: string };
      return new EmulatedRegions(names, { child, folder, url, controlUrl });
    }
    await rm(folder, { recursive: true, force: true });
    throw new BenchError('the emulator did not start');
  }

  /** Reaches a region's share anew: nothing that an earlier client found out about it is known. */
  async reach(name: RegionAccount): Promise<ReachedShare> {
    const account = new AzureFilesAccount({ name, endpoint: `${this.#url}/${name}`, credential: { kind: 'key', key: KEY } });
    const share = new TimedShare({ name, region: name, capacityBytes: TiB, shareName: SHARE, account });
    await share.ensureExists();
    return { share, account };
  }

  /** Has links and shares be as fast as this, and no faster; what is not named has no bound. */
  async shape(settings: DisturbanceSettings): Promise<void> {
    const answer = await fetch(`${this.#controlUrl}/disturbances`, { method: 'PUT', body: JSON.stringify(settings) });
    if (!answer.ok) throw new BenchError(`the emulator refused its limits: ${await answer.text()}`);
  }

  /** Payload bytes since the start, by region. */
  async traffic(): Promise<Readonly<Record<RegionAccount, AccountTraffic>>> {
    return (await (await fetch(`${this.#controlUrl}/traffic`)).json()) as Readonly<Record<RegionAccount, AccountTraffic>>;
  }

  /** Stops it, and removes what it kept. */
  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function hasMemoryFolder(): Promise<boolean> {
  const room = await statfs(MEMORY_FOLDER).catch(() => undefined);
  return room !== undefined && Math.min(freemem(), room.bavail * room.bsize) >= MEMORY_BYTES_MIN;
}
