import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Digest, digestOf } from '#oci';
import { PIECE_BYTES } from '#shares';

import { AnsweredFiles } from './support/answered-files.js';
import { eventually } from './support/eventually.js';
import { bigLayer } from './support/real-layers.js';
import type { ServiceProcess } from './support/service-process.js';
import { type PushedTag, SplitDeployment } from './support/split-deployment.js';

const serverUrl = process.env['TRANSLOCATOR_TEST_POSTGRES_URL'];
const MiB = 2 ** 20;
const HOME = 'westeurope';
const FAR = ['eastus', 'westus', 'southeastasia', 'brazilsouth', 'uksouth'];
/** Some pieces more than it takes to be worth passing on. */
const LAYER_BYTES = 40 * MiB;
/** A piece takes half a second, out of the home share or from one region to another: a layer is under way for seconds. */
const RATE = 8 * MiB;
const SLOW = { limits: [{ account: HOME, bytesPerSecond: RATE }], links: [HOME, ...FAR].flatMap((from) => FAR.filter((to) => to !== from).map((to) => ({ from, to, bytesPerSecond: RATE }))) };
/** A bound against hanging. */
const WITHIN_MS = 120_000;

/** An image of one large layer. */
interface LargeImage extends PushedTag {
  readonly layer: Digest;
}

describe.skipIf(serverUrl === undefined)('two worker processes', () => {
  let deployment: SplitDeployment;
  let workers: readonly ServiceProcess[];
  let answered: AnsweredFiles;

  beforeAll(async () => {
    // As many copies at a time as a layer has: whoever has begun one layer has no room for another. And nobody reads what is there to look whether it is whole still.
    deployment = await SplitDeployment.start({ serverUrl: serverUrl!, home: HOME, regions: [HOME, ...FAR], replication: { concurrency: FAR.length, scrubEvery: '1d' }, logLevel: 'debug' });
    workers = await Promise.all(['one', 'other'].map((name) => deployment.startProcess('worker', name)));
    answered = new AnsweredFiles(deployment);
  }, WITHIN_MS);
  afterAll(() => deployment?.[Symbol.asyncDispose]());

  const everywhere = async (image: PushedTag): Promise<boolean> => {
    let all = true;
    for (const region of [HOME, ...FAR]) all = (await answered.pull(image, region)) && all;
    return all;
  };

  /** Pushes an image of one large layer, and has it expanded at home. */
  async function expanded(name: string): Promise<LargeImage> {
    const layer = bigLayer(name, LAYER_BYTES);
    const image = { repository: `workers/${name}`, tag: 'v1', layer: digestOf(layer.bytes) };
    await deployment.client.enable(image.repository);
    await deployment.push(image, { layers: [layer] });
    await eventually(`${name} is expanded`, () => deployment.client.readyIn(HOME, image.repository, image.tag), { withinMs: WITHIN_MS });
    return image;
  }

  /** Has an image be in every far region, and returns when all copies of its layer are under way. */
  async function begun({ layer, ...image }: LargeImage): Promise<void> {
    await deployment.pin(image, FAR);
    await eventually(`${image.repository} is being copied`, async () => {
      const copies = (await deployment.client.replicas()).filter((replica) => replica.layer === layer && replica.state === 'copying');
      return copies.length === FAR.length;
    }, { withinMs: WITHIN_MS });
  }

  /** How many copies of each layer each of the workers has settled, the layers in no order: `[[5, 0], [0, 5]]`. */
  function copiesByLayer(): number[][] {
    const settled = workers.map((worker) => worker.log().filter(({ loop, outcome }) => loop === 'copy' && outcome === 'settled').map(({ layer }) => layer));
    return [...new Set(settled.flat())].map((layer) => settled.map((layers) => layers.filter((one) => one === layer).length));
  }

  it('copy one layer each to five regions, take its bytes out of the home share once, but for a piece a copy at most, and carry none of them', async () => {
    const images = [await expanded('first'), await expanded('second')];
    const before = deployment.emulator.traffic();
    deployment.emulator.control.disturb(SLOW);
    for (const image of images) await begun(image);
    await eventually('both images are everywhere', async () => (await Promise.all(images.map(everywhere))).every(Boolean), { withinMs: WITHIN_MS });
    const after = deployment.emulator.traffic();
    const moved = FAR.map((region) => after[region]!.copyInBytes - before[region]!.copyInBytes);
    expect(new Set(moved)).toEqual(new Set([moved[0]]));
    expect(moved[0]).toBeGreaterThan(2 * LAYER_BYTES);
    // A copy that has just lost whom it took from, because that is whole now, takes its next piece from any share that has the layer.
    const outOfHomeBytes = after[HOME]!.copyOutBytes - before[HOME]!.copyOutBytes;
    expect([outOfHomeBytes >= moved[0]!, outOfHomeBytes <= moved[0]! + images.length * FAR.length * PIECE_BYTES]).toEqual([true, true]);
    for (const region of [HOME, ...FAR]) expect([after[region]!.ingressBytes, after[region]!.egressBytes]).toEqual([before[region]!.ingressBytes, before[region]!.egressBytes]);
    // A worker logs a copy after others may see that it is there.
    const copies = await eventually('all copies are logged', () => {
      const logged = copiesByLayer();
      return logged.flat().reduce((sum, count) => sum + count, 0) >= images.length * FAR.length && logged;
    });
    expect(copies).toHaveLength(2);
    for (const whole of [[0, FAR.length], [FAR.length, 0]]) expect(copies).toContainEqual(whole);
    expect(answered.broken).toEqual([]);
  }, WITHIN_MS);
});
