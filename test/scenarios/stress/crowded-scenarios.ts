import { aPin } from '#pins/testing';
import { HOUR_MS, MiB } from '#quantities';

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

/** A crawler walks through the registry. */
async function crawler(): Promise<string> {
  const [crawled, quiet] = [new StressStory(), new StressStory()];
  crawled.tell('Ordinary traffic.');
  for (const story of [crawled, quiet]) await story.traffic(48);
  const before = crawled.present('eastus');
  crawled.show('eastus');
  crawled.tell('For three hours, a crawler pulls every image in eastus every ten minutes.');
  for (let round = 0; round < 18; round += 1) {
    for (const { image } of crawled.images) crawled.pull(image, 'eastus', { node: 'crawler' });
    for (const story of [crawled, quiet]) {
      await story.demand.flush(story.clock.now());
      await story.clock.advance(HOUR_MS / 6);
    }
  }
  await crawled.plan('schedule');
  await quiet.plan('schedule', { quiet: true });
  crawled.show('eastus');
  const after = crawled.present('eastus');
  same('a crawler displaces nothing that nodes ask for', quiet.present('eastus').filter((name) => before.includes(name) && !after.includes(name)), []);
  same('and changes nothing where it does not crawl', crawled.present('southeastasia'), quiet.present('southeastasia'));
  return crawled.transcript;
}

/** Where there is less room than is asked for. */
export const CROWDED: Readonly<Record<string, Scenario>> = {
  'budget-halved': budgetHalved,
  'pins-beyond-capacity': pinsBeyondCapacity,
  'nine-gigabyte-layer': nineGigabytes,
  crawler,
};
