import { aPin } from '#pins/testing';
import { HOUR_MS, MiB, SECOND_MS } from '#quantities';

import { law, same } from './law.js';
import { bytesOf, imageOf } from './simulated-registry.js';
import type { Scenario } from './steady-scenarios.js';
import { CAPACITY_BYTES, StressStory } from './stress-story.js';

/** Half of a share's room is taken away. */
async function budgetHalved(): Promise<string> {
  const story = new StressStory();
  story.tell('Ordinary traffic.');
  await story.traffic(48);
  story.show('eastus');
  story.tell('The room of eastus is halved.');
  story.setCapacity('eastus', CAPACITY_BYTES / 2);
  await story.plan('operator');
  story.show('eastus');
  law('what is left fits', story.world.held('eastus').reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= CAPACITY_BYTES / 2);
  const day = await story.traffic(24);
  law('half of the room serves most of the pulls', day['eastus']!.hits / day['eastus']!.pulls > 0.6);
  law('what is pulled most stays', ['shop/web:v1', 'shop/cart:v1'].every((name) => story.present('eastus').includes(name)));
  return story.transcript;
}

/** More is pinned than a share holds. */
async function pinsBeyondCapacity(): Promise<string> {
  const story = new StressStory();
  story.tell('Ordinary traffic.');
  await story.traffic(24);
  const wanted = ['data/train', 'data/etl', 'labs/paper', 'labs/old'];
  const images = story.images.filter(({ image }) => wanted.includes(image.repository)).map(({ image }) => image);
  story.tell(`Operators pin ${images.length} images of ${Math.round(bytesOf(images) / MiB)} MiB to eastus, which holds ${CAPACITY_BYTES / MiB}.`);
  for (const [n, image] of images.entries()) await story.pins.create(aPin({ repository: image.repository, reference: { kind: 'tag', tag: 'v1' }, regions: ['eastus'], priority: images.length - n, createdAt: story.clock.now() }));
  const report = await story.plan('pin');
  const { counts, usedBytes } = report.regions.find(({ region }) => region === 'eastus')!;
  law('pins never take more than there is', usedBytes <= CAPACITY_BYTES);
  law('and each that finds no room says so', counts.unmet > 0 && counts.pinned + counts.unmet === images.length);
  law('the pins of the highest priority are met', counts.pinned > 0 && story.has('eastus', images[0]!));
  await story.traffic(24);
  story.show('eastus');
  law('a met pin holds whatever is pulled', story.has('eastus', images[0]!));
  return story.transcript;
}

/** One layer of 9 GB, and shares that hold it or do not. */
async function nineGigabytes(): Promise<string> {
  const story = new StressStory(12_000 * MiB);
  story.tell('Shares with room for everything; ordinary traffic.');
  await story.traffic(24);
  story.tell('data/model:v1, a single layer of 9 GB over its base, is pushed.');
  const model = story.push(imageOf('data/model', 'v1', story.clock.now(), 9000));
  await story.plan('push', { only: 'data/model' });
  law('nobody has asked for it, and it goes nowhere', !story.has('eastus', model));
  story.tell('Thirty nodes of eastus pull it, one of southeastasia.');
  for (let node = 0; node < 30; node += 1) story.pull(model, 'eastus', { node: `eastus node ${node}` });
  story.pull(model, 'southeastasia', { node: 'southeastasia node 0' });
  await story.demand.flush(story.clock.now());
  await story.clock.advance(HOUR_MS);
  await story.plan('schedule');
  law('it comes where there is demand and room', story.has('eastus', model));
  story.tell('The room of eastus shrinks below it.');
  story.setCapacity('eastus', 8000 * MiB);
  await story.plan('operator');
  law('it goes as a whole', !story.world.held('eastus').some(({ layer }) => layer === model.layers[1]!.digest));
  law('and everything else stays', story.images.every(({ image }) => image.repository.startsWith('labs/') || story.has('eastus', image)));
  story.show('eastus');
  return story.transcript;
}

/** Images that nobody asks for, each small and of a repository of its own. */
const FORGOTTEN_COUNT = 400;

/** A crawler walks through a registry of some hundred images, most of which nobody asks for: it takes each once, and as fast as it can. Another one looks at the few that nodes pull, again and again. */
async function crawler(): Promise<string> {
  const [crawled, quiet] = [new StressStory(), new StressStory()];
  crawled.tell(`Ordinary traffic; ${FORGOTTEN_COUNT} images of 5 MiB that nobody asks for.`);
  for (const story of [crawled, quiet]) {
    for (let n = 0; n < FORGOTTEN_COUNT; n += 1) story.push(imageOf(`forgotten/app${n}`, 'v1', story.clock.now(), 5));
    await story.traffic(48);
  }
  crawled.show('eastus');
  const decided = async (story: StressStory, region: string): Promise<string[]> => ((await story.plans.latest(region))?.decisions ?? []).map(({ digest, verdict, reason }) => `${story.nameOf(digest)} ${verdict} ${reason}`).toSorted();
  const planBoth = async (): Promise<void> => {
    await crawled.plan('schedule');
    await quiet.plan('schedule', { quiet: true });
    for (const region of ['eastus', 'southeastasia']) {
      same(`a crawler of eastus changes nothing that is decided in ${region}`, await decided(crawled, region), await decided(quiet, region));
      same(`and nothing that ${region} has`, crawled.present(region), quiet.present(region));
    }
  };
  crawled.tell(`A crawler pulls all ${crawled.world.pushed.length} images in eastus, one a second.`);
  for (const image of crawled.world.pushed) {
    crawled.pull(image, 'eastus', { node: 'crawler' });
    for (const story of [crawled, quiet]) await story.clock.advance(SECOND_MS);
    await crawled.demand.flush(crawled.clock.now());
  }
  await planBoth();
  crawled.show('eastus');
  crawled.tell('For three hours, another one pulls what nodes pull in eastus every ten minutes.');
  for (let round = 0; round < 18; round += 1) {
    for (const { image } of crawled.images) crawled.pull(image, 'eastus', { node: 'another crawler' });
    for (const story of [crawled, quiet]) {
      await story.demand.flush(story.clock.now());
      await story.clock.advance(HOUR_MS / 6);
    }
  }
  await planBoth();
  crawled.show('eastus');
  return crawled.transcript;
}

/** Where there is less room than is asked for. */
export const CROWDED: Readonly<Record<string, Scenario>> = {
  'budget-halved': budgetHalved,
  'pins-beyond-capacity': pinsBeyondCapacity,
  'nine-gigabyte-layer': nineGigabytes,
  crawler,
};
