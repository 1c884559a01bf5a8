import { type Figure, measured, ratioAtMost } from '../bench.js';
import { copyAll, type HomeLayer, HomeLayers } from './copied-layers.js';
import type { EmulatedRegions } from './emulated-regions.js';

/** Where one layer is copied to. */
export const FAR_REGIONS: readonly string[] = Array.from({ length: 8 }, (_, n) => `far${n}`);

const MB = 1e6;
const LAYER_BYTES = 160 * MB;
/** Of every link, and of all that the home share gives out: eight of these at a time are within what the emulator carries. */
const RATE = 25;
const LATENCY_MS = 20;
const LAST_OF_ALL = 1.3;
/** Pieces that several targets take at the same instant when one of them joins, and when one ends. */
const LEFT_HOME = 1.05;

/** Where it is measured, and how much of it. */
export interface FanOutRun {
  readonly regions: EmulatedRegions;
  readonly tell: (line: string) => void;
  /** Of the layer's size. */
  readonly scale: number;
}

/** Copies one layer to eight regions over equal links, in every way there is, from a home share that gives out no more than one link carries. */
export async function measureFanOut({ regions, tell, scale }: FanOutRun): Promise<readonly Figure[]> {
  await regions.shape({});
  const layers = new HomeLayers((await regions.reach('home')).share);
  const layer = await layers.put('fanned out', LAYER_BYTES * scale);
  const places = ['home', ...FAR_REGIONS];
  const links = places.flatMap((from) => places.flatMap((to) => (from === to ? [] : [{ from, to, bytesPerSecond: RATE * MB }])));
  await regions.shape({ limits: [{ latencyMs: LATENCY_MS }, { account: 'home', bytesPerSecond: RATE * MB }], links });

  const run = async (name: string, how: { readonly targets: number; readonly fansOut: boolean; readonly copiesAtOnce?: number }): Promise<Outcome> => {
    const [home, ...targets] = await Promise.all(places.slice(0, how.targets + 1).map(async (place) => (await regions.reach(place)).share));
    const before = (await regions.traffic())['home']!.copyOutBytes;
    const seconds = await copyAll({ ...how, layers: [layer], records: layers.records, home: home!, targets });
    const leftHome = (await regions.traffic())['home']!.copyOutBytes - before;
    tell(`${name}: ${seconds.toFixed(2)} s, ${(leftHome / layer.dataBytes).toFixed(2)} times out of the home share`);
    return { seconds, leftHome: leftHome / layer.dataBytes };
  };
  const one = await run('to one region', { targets: 1, fansOut: true });
  const all = await run('to eight regions', { targets: 8, fansOut: true });
  const direct = await run('to eight regions, each from the home share', { targets: 8, fansOut: false });
  const inTurn = await run('to eight regions, one after the other', { targets: 8, fansOut: false, copiesAtOnce: 1 });
  return figuresOf(layer, { one, all, direct, inTurn });
}

interface Outcome {
  /** Until the last one was ready. */
  readonly seconds: number;
  /** How many times the layer's bytes left the home share. */
  readonly leftHome: number;
}

function figuresOf({ sizeBytes }: HomeLayer, { one, all, direct, inTurn }: Readonly<Record<'one' | 'all' | 'direct' | 'inTurn', Outcome>>): Figure[] {
  const name = (text: string): string => `a layer of ${Math.round(sizeBytes / MB)} MB, ${RATE} MB/s a link and out of the home share, ${LATENCY_MS} ms a call: ${text}`;
  return [
    measured(name('one region'), one.seconds, 's'),
    measured(name('the last of eight regions'), all.seconds, 's'),
    measured(name('the last of eight regions, each from the home share'), direct.seconds, 's'),
    measured(name('the last of eight regions, one after the other'), inTurn.seconds, 's'),
    ratioAtMost(name('the last of eight regions'), all.seconds / one.seconds, { against: 'one region', bound: LAST_OF_ALL }),
    ratioAtMost(name('the last of eight regions'), all.seconds / inTurn.seconds, { against: 'one after the other', bound: 0.5 }),
    ratioAtMost(name('bytes out of the home share'), all.leftHome, { against: 'the layer’s', bound: LEFT_HOME }),
  ];
}
