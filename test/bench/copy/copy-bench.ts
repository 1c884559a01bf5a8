import { SECOND_MS } from '#quantities';
import { PIECE_BYTES } from '#shares';

import { type Bench, BenchError, type Figure, measured, median, ratioAtMost } from '../bench.js';
import { copyAll, type HomeLayer, HomeLayers } from './copied-layers.js';
import { copyByShare } from './copy-by-share.js';
import { EmulatedRegions, type ReachedShare } from './emulated-regions.js';
import { FAR_REGIONS, measureFanOut } from './fan-out-bench.js';

/** What this machine can emulate of the run in the time people have: 1 is the whole of it. By `COPY_BENCH_SCALE`. */
const SCALE = scaleOf(process.env.COPY_BENCH_SCALE);
const MB = 1e6;
const RATES = [50, 200, 400];
const LATENCIES_MS = [0, 20, 80];
/** Where a second of the link says no more than the first ones, the layer is shorter: so many seconds at the link's rate, at most. */
const SECONDS_MAX = 6;
/** Runs at the highest rate, which other work on the machine disturbs most; the median of their ratios counts. */
const ROUNDS_OF_FAST = 3;
const LAYER_BYTES = 1000 * MB;
const SMALL_LAYERS = 200;
const SMALL_BYTES = { min: MB, max: 50 * MB };
const HOLES_RATIO = 0.6;
/** A layer of whole fives of pieces has exactly its part of holes. */
const HOLED_BYTES = 5 * PIECE_BYTES;
/** Where one layer is compared with other ways, and where many layers and holes are measured. */
const USUAL = { rate: 200, latencyMs: 20 };
const FULL = 0.9;
const FULL_BOUND = threeDigits(1 / FULL);
const FULL_OF_MANY_BOUND = threeDigits(1 / 0.85);
const HOLES_BOUND = 0.41;

/** The parts, besides {@link rateName}. */
const MANY = 'many layers';
const HOLES = 'holes';
const BY_SHARE = 'startCopyFromURL';
const FAN_OUT = 'fan-out';

/** `npm run bench -- copy`. */
export const copyBench: Bench = {
  question: 'how much of a link do copies use, what do they cost besides, and how long does the last of eight regions wait?',

  parts: [...RATES.map(rateName), MANY, HOLES, BY_SHARE, FAN_OUT],

  async run(tell, parts): Promise<readonly Figure[]> {
    const regions = await EmulatedRegions.start(['home', 'east', ...FAR_REGIONS]);
    try {
      const scaled = { regions, tell, scale: SCALE };
      return [...(await new CopyBench({ regions, tell, parts }).run()), ...(parts.includes(FAN_OUT) ? await measureFanOut(scaled) : [])];
    } finally {
      await regions.close();
    }
  },
};

/** Bounds are for people too: no more digits than figures have. */
function threeDigits(bound: number): number {
  return Number(bound.toFixed(3));
}

function scaleOf(text = '1'): number {
  const scale = Number(text);
  if (!(scale > 0 && scale <= 1)) throw new BenchError(`COPY_BENCH_SCALE: ${JSON.stringify(text)} is not a number above 0, and at most 1`);
  return scale;
}

/** How fast the way from `home` to another region is. */
interface Way {
  /** Of the link, in MB/s; absent: no bound. */
  readonly rate?: number | undefined;
  /** Of every call. */
  readonly latencyMs: number;
}

/** In MB/s. */
interface CopyRates {
  /** From the claim to ready. */
  readonly whole: number;
  /** From the first piece asked for to the last one there. */
  readonly travelling: number;
}

function rateName(rate: number): string {
  return `${rate} MB/s`;
}

/** One layer over one link. */
function wayName({ rate, latencyMs }: Way): string {
  return `${rate ?? 'any'} MB/s, ${latencyMs} ms a call`;
}

/** Where it is measured, and which parts of it. */
interface CopyBenchRun {
  readonly regions: EmulatedRegions;
  readonly tell: (line: string) => void;
  readonly parts: readonly string[];
}

class CopyBench {
  readonly #regions: EmulatedRegions;
  readonly #tell: (line: string) => void;
  readonly #parts: readonly string[];
  readonly #figures: Figure[] = [];

  constructor({ regions, tell, parts }: CopyBenchRun) {
    this.#regions = regions;
    this.#tell = tell;
    this.#parts = parts;
  }

  async run(): Promise<readonly Figure[]> {
    const home = await this.#regions.reach('home');
    const layers = new HomeLayers(home.share);
    const ways = RATES.filter((rate) => this.#isWanted(rateName(rate))).flatMap((rate) => LATENCIES_MS.map((latencyMs) => ({ rate, latencyMs })));
    if (ways.length === 0 && ![MANY, HOLES, BY_SHARE].some((part) => this.#isWanted(part))) return [];
    this.#tell('putting layers onto the home share');
    const large = await layers.put('large', LAYER_BYTES * SCALE);
    const shorter = await layers.put('shorter', RATES[0]! * MB * SECONDS_MAX * SCALE);
    const small: HomeLayer[] = [];
    if (this.#isWanted(MANY)) for (let n = 0; n < SMALL_LAYERS * SCALE; n += 1) small.push(await layers.put(`small ${n}`, smallBytes(n)));
    const holes = this.#isWanted(HOLES) ? await layers.put('holes', Math.ceil((LAYER_BYTES * SCALE) / HOLED_BYTES) * HOLED_BYTES, HOLES_RATIO) : undefined;
    const before = await this.#throughThisProcess();

    // The first run warms everybody up.
    await this.#copyRates(layers, [large], { latencyMs: 0 });
    const ceiling = (await this.#copyRates(layers, [large], { latencyMs: 0 })).travelling;
    this.#figures.push(measured(`the emulator without limits, its files ${this.#regions.inMemory ? 'in memory' : 'on a disk'}, one layer`, ceiling, 'MB/s'));
    for (const way of ways) await this.#fill(layers, large.sizeBytes / MB / way.rate > SECONDS_MAX ? shorter : large, way);
    if (small.length > 0) await this.#fillWithMany(layers, small);
    if (holes !== undefined) await this.#copyHoles(layers, holes);
    const after = await this.#throughThisProcess();
    this.#figures.push({ name: 'payload through this process', value: after - before, unit: 'bytes', against: null, bound: 0, holds: after === before });
    if (this.#isWanted(BY_SHARE)) await this.#compareWithShare(home, large);
    return this.#figures;
  }

  #isWanted(part: string): boolean {
    return this.#parts.includes(part);
  }

  /**
   * One layer over one link. What is bounded is the whole time from the claim to ready, with the calls before and after the bytes, each of which takes the
   * latency. What the emulator cannot carry on this machine at that moment, no copy can fill: then its own ceiling, of the same minute, is the measure.
   */
  async #fill(layers: HomeLayers, layer: HomeLayer, way: Way & { readonly rate: number }): Promise<void> {
    const { rate } = way;
    const isFast = rate > RATES[1]!;
    const rounds: (CopyRates & { readonly ceiling: number })[] = [];
    while (rounds.length < (isFast ? ROUNDS_OF_FAST : 1)) {
      const ceiling = isFast ? (await this.#copyRates(layers, [layer], { latencyMs: 0 })).travelling : rate;
      rounds.push({ ceiling, ...(await this.#copyRates(layers, [layer], way)) });
    }
    const name = `one layer of ${Math.round(layer.sizeBytes / MB)} MB, ${wayName(way)}`;
    if (isFast) this.#figures.push(measured(`${name}: the emulator without limits, at the same time`, median(rounds.map(({ ceiling }) => ceiling)), 'MB/s'));
    this.#figures.push(measured(`${name}, from the claim to ready`, median(rounds.map(({ whole }) => whole)), 'MB/s'));
    this.#figures.push(measured(`${name}, while its bytes travel`, median(rounds.map(({ travelling }) => travelling)), 'MB/s'));
    const ratio = median(rounds.map(({ ceiling, whole }) => Math.min(rate, ceiling) / whole));
    const against = isFast ? 'the link at its full rate, or the emulator without limits where that is slower' : 'the link at its full rate';
    this.#figures.push(ratioAtMost(`${name}: time from the claim to ready`, ratio, { against, bound: FULL_BOUND }));
  }

  async #fillWithMany(layers: HomeLayers, small: readonly HomeLayer[]): Promise<void> {
    const { rate, latencyMs } = USUAL;
    const reached = (await this.#copyRates(layers, small, USUAL)).whole;
    const bytes = small.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const name = `${small.length} layers of 1 to 50 MB (${Math.round(bytes / MB)} MB), ${rate} MB/s, ${latencyMs} ms a call`;
    this.#figures.push(measured(name, reached, 'MB/s'));
    this.#figures.push(ratioAtMost(`${name}: time`, rate / reached, { against: 'the link at its full rate', bound: FULL_OF_MANY_BOUND }));
  }

  async #copyHoles(layers: HomeLayers, holes: HomeLayer): Promise<void> {
    const before = (await this.#regions.traffic())['east']!.copyInBytes;
    await this.#copyRates(layers, [holes], USUAL);
    const moved = (await this.#regions.traffic())['east']!.copyInBytes - before;
    this.#figures.push(ratioAtMost(`a layer of ${HOLES_RATIO * 100} % holes: bytes`, moved / holes.sizeBytes, { against: 'its size', bound: HOLES_BOUND }));
  }

  async #compareWithShare(home: ReachedShare, layer: HomeLayer): Promise<void> {
    await this.#shape(USUAL);
    const seconds = await copyByShare(home, await this.#regions.reach('east'), layer);
    const name = `the same layer by startCopyFromURL, ${USUAL.rate} MB/s, ${USUAL.latencyMs} ms a call`;
    this.#tell(`${name}: ${seconds.toFixed(2)} s`);
    this.#figures.push(measured(`${name}, as the emulator carries it: one range at a time`, layer.dataBytes / MB / seconds, 'MB/s'));
  }

  /** The clients of both shares are new: what a link bears is found out anew. */
  async #copyRates(layers: HomeLayers, copied: readonly HomeLayer[], way: Way): Promise<CopyRates> {
    await this.#shape(way);
    const [home, east] = [await this.#regions.reach('home'), await this.#regions.reach('east')];
    const bytes = copied.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    const seconds = await copyAll({ layers: copied, records: layers.records, home: home.share, targets: [east.share] });
    const { fromMs, toMs } = east.share.copied;
    const rates = { whole: bytes / MB / seconds, travelling: bytes / MB / ((toMs - fromMs) / SECOND_MS) };
    this.#tell(`${copied.length} of ${Math.round(bytes / MB)} MB, ${wayName(way)}: ${seconds.toFixed(2)} s, `
      + `${rates.whole.toFixed(0)} MB/s, ${rates.travelling.toFixed(0)} MB/s while the bytes travel`);
    return rates;
  }

  async #shape({ rate, latencyMs }: Way): Promise<void> {
    const links = rate === undefined ? [] : [{ from: 'home', to: 'east', bytesPerSecond: rate * MB }];
    await this.#regions.shape({ limits: [{ latencyMs }], links });
  }

  /** Payload that went from or to this process. */
  async #throughThisProcess(): Promise<number> {
    return Object.values(await this.#regions.traffic()).reduce((sum, { ingressBytes, egressBytes }) => sum + ingressBytes + egressBytes, 0);
  }
}

/** Sizes from 1 to 50 MB, as many in each of its doublings: layers are small more often than large. */
function smallBytes(n: number): number {
  const { min, max } = SMALL_BYTES;
  const place = ((n * 73) % SMALL_LAYERS) / (SMALL_LAYERS - 1);
  return Math.round((min * (max / min) ** place) / 4096) * 4096;
}
