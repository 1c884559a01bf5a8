import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { ImageStatus, MountAnswerBody } from '#contract';
import { formatBytes, formatDuration } from '#quantities';
import { LAYER_FILE_VERSION, layerFilePath } from '#shares';

import { compareWithView } from './compare-with-view.js';
import { type DemoDeployment, startDemoDeployment } from './demo-deployment.js';
import { buildDemoImages, type DemoImage, type DemoImages } from './images/demo-images.js';
import { type PushedImage, pushDemoImage } from './push-demo-image.js';
import { runFromMounts } from './run-from-mounts.js';
import { require, StepRunner, type StepResult, until } from './step-runner.js';

/** Nodes that pull in the demo's second region. */
const NODES = ['node-1', 'node-2', 'node-3'];

/** Carries two images through the service's whole work, and reports each step. Everything it makes is temporary and gone when it returns. */
export async function runDemo(onResult: (result: StepResult) => void): Promise<readonly StepResult[]> {
  const steps = new StepRunner(onResult);
  const demo = new Demo();
  try {
    await steps.step('the service, a registry and three regions start', () => demo.start());
    await steps.step('two images that share a base are built', () => demo.build());
    await steps.step('the images are pushed over HTTP', () => demo.push());
    await steps.step('every layer is expanded in westeurope, and a merged view of each image', () => demo.expand());
    await steps.step('a lookup from eastus answers blobs, with reasons', () => demo.lookUpTooEarly());
    await steps.step('pulls from eastus are observed', () => demo.observe());
    await steps.step('the scheduler replicates to eastus without being told', () => demo.replicate());
    await steps.step('the bytes went from share to share, none through the service', () => demo.proveNoPayload());
    await steps.step('the same lookup answers mounts in eastus', () => demo.lookUpAgain());
    await steps.step('a new tag is in eastus before its first pull there', () => demo.pushNewTag());
    await steps.step('a pin brings the image to southeastasia', () => demo.pin());
    await steps.step('every replica equals its source, byte for byte', () => demo.compare());
    await steps.step('removing the pin drains it', () => demo.unpin());
    await steps.step('the program runs from the mounted layers', () => demo.run());
    await steps.step('the merged view of the image, one mount, equals the overlay of its layers', () => demo.view());
  } finally {
    await demo.close();
  }
  return steps.results;
}

/** The demo's state from step to step. */
class Demo {
  #deployment: DemoDeployment | undefined;
  #images: DemoImages | undefined;
  #pushed = new Map<string, PushedImage>();
  #trafficBefore: Traffic | undefined;
  #answer: MountAnswerBody | undefined;
  #pinId = '';

  async start(): Promise<string> {
    this.#deployment = await startDemoDeployment();
    return `${this.#here.service.url}, data in ${this.#here.folder}`;
  }

  async build(): Promise<string> {
    const folder = join(this.#here.folder, 'images');
    await mkdir(folder);
    this.#images = await buildDemoImages(folder);
    const { api, batch } = this.#images;
    const tarBytes = (image: DemoImage): number => image.layers.reduce((sum, layer) => sum + layer.tarBytes, 0);
    const shared = api.layers.filter((layer) => batch.layers.some((other) => other.digest === layer.digest)).length;
    return [api, batch].map((image) => `${image.repository}:${image.tag} ${image.layers.length} layers, ${formatBytes(tarBytes(image))}`).join('; ') + `; ${shared} layers shared`;
  }

  async push(): Promise<string> {
    const { api, registryUrl } = this.#here;
    const { api: first, batch } = this.#demoImages;
    await Promise.all([first, batch].map((image) => api.enable(image.repository)));
    let sentBytes = 0;
    for (const image of [first, batch]) sentBytes += (await this.#push(registryUrl, image)).sentBytes;
    return `${formatBytes(sentBytes)} sent; what they share was sent once for each repository`;
  }

  async expand(): Promise<string> {
    const { api, batch } = this.#demoImages;
    const statuses = await Promise.all([api, batch].map((image) => this.#ready(image, 'westeurope')));
    const vhds = new Map(statuses.flatMap((status) => status.images.flatMap((each) => each.layers)).map((layer) => [layer.digest, layer.vhd?.sizeBytes ?? 0]));
    return `${vhds.size} layers became ${formatBytes([...vhds.values()].reduce((sum, bytes) => sum + bytes, 0))} of EROFS in VHDs`;
  }

  async lookUpTooEarly(): Promise<string> {
    const answer = await this.#lookUp('node-0');
    const blobs = answer.layers.filter((layer) => layer.kind === 'blob');
    require(blobs.length === answer.layers.length, 'some layers are mounts already');
    return `${blobs.length} blobs: ${countedReasons(blobs.map((layer) => layer.reason))}`;
  }

  async observe(): Promise<string> {
    const { api } = this.#here;
    this.#trafficBefore = this.#traffic();
    for (const node of NODES) await this.#lookUp(node);
    const weight = await until('the observed pulls being merged', async () => {
      const [entry] = await api.demand('eastus', this.#demoImages.api.repository);
      return entry !== undefined && entry.weight >= NODES.length ? entry.weight : undefined;
    });
    return `${NODES.length + 1} nodes pulled; demand in eastus is ${weight.toFixed(2)} pulls`;
  }

  async replicate(): Promise<string> {
    await this.#ready(this.#demoImages.api, 'eastus');
    const plan = (await this.#here.api.plans()).find((each) => each.region === 'eastus');
    const decision = plan?.decisions.find((each) => each.repository === this.#demoImages.api.repository);
    require(decision !== undefined && (decision.verdict === 'placed' || decision.verdict === 'kept'), `the plan of eastus says ${decision?.verdict ?? 'nothing'}`);
    return `the plan says ${decision.verdict}, ${decision.reason}: ${decision.expectedPulls.toFixed(1)} pulls expected, ${formatBytes(decision.imageBytes)}`;
  }

  proveNoPayload(): Promise<string> {
    const before = this.#trafficBefore;
    require(before !== undefined, 'nothing was counted before the copy');
    const now = this.#traffic();
    const carried = now.carriedBytes - before.carriedBytes;
    const copied = now.copiedBytes - before.copiedBytes;
    require(carried === 0, `${formatBytes(carried)} went through the service`);
    require(copied > 0, 'nothing was copied');
    return Promise.resolve(`${formatBytes(copied)} copied from share to share; 0 bytes read or written by the service meanwhile`);
  }

  async lookUpAgain(): Promise<string> {
    // Lookups answer from memory, which hears of a new replica within a second.
    const { answer, mounts } = await until('every layer being answered as a mount', async () => {
      const seen = await this.#lookUp('node-1');
      const mounted = seen.layers.filter((layer) => layer.kind === 'mount');
      return mounted.length === seen.layers.length ? { answer: seen, mounts: mounted } : undefined;
    });
    require(mounts.every((layer) => layer.mounts.every((mount) => mount.region === 'eastus')), 'some mounts are not in eastus');
    require(answer.lease !== undefined, 'no lease was given');
    return `${mounts.length} mounts, all in eastus, by ${[...new Set(mounts.flatMap((layer) => layer.mounts.map((mount) => mount.type)))].join(' and ')}; lease until ${answer.lease.expiresAt}`;
  }

  async pushNewTag(): Promise<string> {
    const { apiNext } = this.#demoImages;
    const startedAt = performance.now();
    const { digest, sentBytes } = await this.#push(this.#here.registryUrl, apiNext);
    await this.#ready(apiNext, 'eastus');
    const readyAfterMs = performance.now() - startedAt;
    const pulled = (await this.#here.api.demand('eastus', apiNext.repository)).some((entry) => entry.image === digest);
    require(!pulled, `${apiNext.tag} was pulled in eastus before`);
    const answer = await until('the lookup of the new tag answering mounts and the merged view', async () => {
      const seen = await this.#here.api.pull(apiNext.repository, apiNext.tag, { region: 'eastus', node: 'node-2' });
      return seen?.layers.every((layer) => layer.kind === 'mount') === true && seen.image !== undefined ? seen : undefined;
    });
    this.#answer = answer;
    return `${apiNext.repository}:${apiNext.tag}, ${formatBytes(sentBytes)} pushed, ready in eastus ${formatDuration(readyAfterMs)} after the push began; its first pull there gets ${answer.layers.length} mounts`;
  }

  async pin(): Promise<string> {
    const { batch } = this.#demoImages;
    const pin = await this.#here.api.pin(batch.repository, batch.tag, 'southeastasia');
    this.#pinId = pin.id;
    const status = await this.#ready(batch, 'southeastasia');
    const region = status.images[0]?.regions.find((each) => each.region === 'southeastasia');
    return `${batch.repository}:${batch.tag}: ${region?.readyLayerCount ?? 0} layers, ${formatBytes(region?.readyBytes ?? 0)}`;
  }

  async compare(): Promise<string> {
    let [count, bytes] = [0, 0];
    for (const region of ['westeurope', 'eastus', 'southeastasia']) {
      for (const replica of await this.#here.api.replicas(region)) {
        require(replica.state === 'ready', `the replica of ${replica.layer} in ${region} is ${replica.state}`);
        const [here, home] = await Promise.all([region, 'westeurope'].map((each) => sha256OfFile(this.#fileOf(each, replica.layer))));
        require(here === home, `the replica of ${replica.layer} in ${region} differs from its source`);
        count += 1;
        bytes += replica.sizeBytes;
      }
    }
    return `${count} files, ${formatBytes(bytes)}, compared by sha256 with the file in westeurope`;
  }

  async unpin(): Promise<string> {
    const { api } = this.#here;
    const before = (await api.replicas('southeastasia')).length;
    await api.unpin(this.#pinId);
    await until('southeastasia being empty', async () => ((await api.replicas('southeastasia')).length === 0 ? true : undefined));
    return `${before} replicas left the answers, outlasted the leases that may have been given, and are gone`;
  }

  async run(): Promise<string> {
    const answer = this.#answer;
    require(answer !== undefined, 'there is no answer to mount');
    const { output, mountMs, runMs } = await runFromMounts(answer, join(this.#here.folder, 'node'));
    const { apiNext } = this.#demoImages;
    require(output['name'] === 'api' && output['version'] === apiNext.tag, `the program said ${JSON.stringify(output)}`);
    require(output['motd'] === false, 'a file that a whiteout hides is visible');
    return `mounted in ${formatDuration(mountMs)}, ran in ${formatDuration(runMs)}: ${JSON.stringify(output)}`;
  }

  async view(): Promise<string> {
    const answer = this.#answer;
    require(answer?.image !== undefined, 'there is no merged view to mount');
    const { entryCount, viewMs, overlayMs } = await compareWithView(answer, join(this.#here.folder, 'viewed'));
    const { image, layers } = answer;
    return `${entryCount} entries are the same; ${formatBytes(image.vhd.sizeBytes)} beside the files of ${layers.length} layers, mounted in ${formatDuration(viewMs)}, the overlay in ${formatDuration(overlayMs)}`;
  }

  async close(): Promise<void> {
    await this.#deployment?.close();
  }

  get #here(): DemoDeployment {
    require(this.#deployment !== undefined, 'the service has not started');
    return this.#deployment;
  }

  get #demoImages(): DemoImages {
    require(this.#images !== undefined, 'no images were built');
    return this.#images;
  }

  async #push(registryUrl: string, image: DemoImage): Promise<PushedImage> {
    const pushed = await pushDemoImage(registryUrl, image);
    this.#pushed.set(`${image.repository}:${image.tag}`, pushed);
    return pushed;
  }

  /** The status of an image once every layer of it, and its merged view, is ready in `region`. */
  #ready(image: DemoImage, region: string): Promise<ImageStatus> {
    return until(`${image.repository}:${image.tag} being ready in ${region}`, async () => {
      const status = await this.#here.api.status(image.repository, image.tag);
      const refused = status?.images.flatMap((each) => each.layers).find((layer) => layer.refusal !== undefined);
      if (refused !== undefined) throw new Error(`layer ${refused.digest} was refused: ${refused.refusal?.message}`);
      const refusedView = status?.images.find((each) => each.view?.refusal !== undefined)?.view;
      if (refusedView !== undefined) throw new Error(`merged view ${refusedView.digest} was refused: ${refusedView.refusal?.message}`);
      const isReady = ({ regions, view }: ImageStatus['images'][number]): boolean =>
        regions.some((here) => here.region === region && here.state === 'ready') &&
        (view === undefined || view.replicas.some((here) => here.region === region && here.state === 'ready'));
      return status?.images.every(isReady) === true ? status : undefined;
    });
  }

  /** What the first image's lookup from eastus answers; mind that a lookup's map follows the database with a delay. */
  #lookUp(node: string): Promise<MountAnswerBody> {
    const { api } = this.#demoImages;
    return until('the lookup being answered', () => this.#here.api.pull(api.repository, api.tag, { region: 'eastus', node }));
  }

  #fileOf(region: string, layer: Parameters<typeof layerFilePath>[0]): string {
    const { emulator } = this.#here.service.resources;
    require(emulator !== undefined, 'the shares are not emulated');
    return join(emulator.shareFolder(region, 'layers'), layerFilePath(layer, LAYER_FILE_VERSION));
  }

  #traffic(): Traffic {
    const accounts = Object.values(this.#here.service.resources.emulator?.traffic() ?? {});
    const sum = (of: (account: (typeof accounts)[number]) => number): number => accounts.reduce((total, account) => total + of(account), 0);
    return { carriedBytes: sum((account) => account.ingressBytes + account.egressBytes), copiedBytes: sum((account) => account.copyInBytes) };
  }
}

/** Payload bytes so far: through clients of the shares, and between the shares. */
interface Traffic {
  readonly carriedBytes: number;
  readonly copiedBytes: number;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function countedReasons(reasons: readonly string[]): string {
  return [...Map.groupBy(reasons, (reason) => reason)].map(([reason, all]) => `${all.length} × ${reason}`).join(', ');
}
