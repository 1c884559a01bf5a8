import { aPin } from '#pins/testing';
import type { PlacementParameters } from '#placement';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#quantities';

import { law, same } from './law.js';
import { imageOf } from './simulated-registry.js';
import { CAPACITY_BYTES, type PullCount, StressStory, USUAL } from './stress-story.js';

/** Plays a scenario. @returns its transcript. @throws {LawBroken} when what it shows is not so. */
export type Scenario = () => Promise<string>;

const REGIONS = ['eastus', 'southeastasia'] as const;
/** Until what is asked for is known, and there. */
const SETTLING_HOURS = 48;

/** A deployment that has settled into ordinary traffic. */
async function settled(weights: Partial<PlacementParameters> = {}): Promise<StressStory> {
  const story = new StressStory(CAPACITY_BYTES, weights);
  story.tell('Two regions with room for half of what there is; ordinary traffic begins.');
  await story.traffic(SETTLING_HOURS);
  for (const region of REGIONS) story.show(region);
  return story;
}

/** A region fails: its nodes start anew in the other one, and come back a day later. */
async function regionFailsOver(): Promise<string> {
  const story = await settled();
  const before = story.present('eastus');
  story.tell('eastus fails; its nodes start anew in southeastasia, with everything that they run.');
  const flows = USUAL.map((flow) => ({ ...flow, region: 'southeastasia' }));
  const first = await story.traffic(1, { flows });
  const day = await story.traffic(23, { flows });
  story.show('southeastasia');
  law('a region that takes over another one finds what that one ran', ratioOf(day['southeastasia']) > ratioOf(first['southeastasia']) && ratioOf(day['southeastasia']) > 0.75);
  story.tell('eastus is back.');
  const back = await story.traffic(6);
  same('a region that was away for a day has what it had', before.filter((name) => story.present('eastus').includes(name)), before);
  law('and serves from it at once', ratioOf(back['eastus']) > 0.75);
  return story.transcript;
}

/** A new version is pushed, and everybody takes it within the hour. */
async function flashRelease(): Promise<string> {
  const story = await settled();
  story.tell('shop/web:v2 is pushed; it is planned for at once.');
  const v2 = story.push(imageOf('shop/web', 'v2', story.clock.now()));
  const report = await story.plan('push', { only: 'shop/web' });
  if (report.cramped) {
    story.tell('It found no room: everything is planned.');
    await story.plan('push');
  }
  story.tell('Within the hour every node starts it.');
  let hits = 0;
  for (let node = 0; node < 40; node += 1) if (story.pull(v2, 'eastus', { node: `eastus node ${node}` })) hits += 1;
  await story.demand.flush(story.clock.now());
  story.tell(`eastus: 40 first pulls of it, ${hits} hits`);
  same('whoever takes a new version of what is in demand finds it there, from the first pull on', hits, 40);
  await story.traffic(6, { of: [...story.images.filter(({ image }) => image.repository !== 'shop/web'), { image: v2, part: 0.3 }] });
  for (const region of REGIONS) story.show(region);
  law('and it stays', REGIONS.every((region) => story.has(region, v2)));
  return story.transcript;
}

/** A job on many nodes pulls one image at every full hour. */
async function cronAtTheFullHour(): Promise<string> {
  const story = await settled();
  const etl = story.images.find(({ image }) => image.repository === 'data/etl')!.image;
  story.tell('Twenty nodes of eastus begin data/etl:v1 at every full hour, for two days.');
  let [pulls, hits] = [0, 0];
  let absences = 0;
  for (let hour = 0; hour < 48; hour += 1) {
    for (let node = 0; node < 20; node += 1) {
      pulls += 1;
      if (story.pull(etl, 'eastus', { node: `cron node ${node}` })) hits += 1;
    }
    await story.demand.flush(story.clock.now());
    await story.clock.advance(30 * MINUTE_MS);
    await story.plan('schedule', { quiet: true });
    await story.clock.advance(30 * MINUTE_MS);
    if (hour > 0 && !story.has('eastus', etl)) absences += 1;
  }
  story.tell(`eastus: ${pulls} pulls of it, ${((100 * hits) / pulls).toFixed(0)} % hits`);
  story.show('eastus');
  same('an image of every hour is never away once it has come', absences, 0);
  law('and serves all but the first hour', hits >= pulls - 20);
  return story.transcript;
}

/** A region joins that nobody has pulled in. */
async function newColdRegion(): Promise<string> {
  const story = await settled();
  story.tell('brazilsouth joins; nobody has pulled anything there.');
  story.setCapacity('brazilsouth', 900 * 2 ** 20);
  await story.plan('schedule');
  story.show('brazilsouth');
  law('it has what is pulled most elsewhere before anybody asks', story.present('brazilsouth').includes('shop/web:v1'));
  const flows = [...USUAL, { region: 'brazilsouth', as: 'brazilsouth', pullsPerHour: 6 }];
  const day = await story.traffic(24, { flows });
  const next = await story.traffic(24, { flows });
  story.show('brazilsouth');
  law('a new region has what it is asked for from its first day on', ratioOf(day['brazilsouth']) > 0.8 && ratioOf(next['brazilsouth']) > 0.8);
  law('the most pulled image is there', story.present('brazilsouth').includes('shop/web:v1'));
  return story.transcript;
}

/** A region joins, and nobody ever comes: what it was given stays until somebody needs the room, or, where what is not pulled is told to go, until little is expected of it. */
async function regionNobodyComesTo(): Promise<string> {
  const held = await nobodyComes();
  held.tell('An operator pins data/etl:v1 to brazilsouth.');
  await held.pins.create(aPin({ repository: 'data/etl', reference: { kind: 'tag', tag: 'v1' }, regions: ['brazilsouth'], createdAt: held.clock.now() }));
  const { counts } = (await held.plan('pin')).regions.find(({ region }) => region === 'brazilsouth')!;
  same('what nobody came for gives way at once', [counts.pinned, counts.unmet], [1, 0]);
  held.show('brazilsouth');
  const given = await nobodyComes({ keepRatio: 0.1 });
  same('where it is told to go, it is given up again', given.present('brazilsouth'), []);
  return held.transcript + given.transcript;
}

/** The days until hardly anything is expected of a region any more that nobody comes to. */
const SILENT_DAYS = 24;

async function nobodyComes(weights: Partial<PlacementParameters> = {}): Promise<StressStory> {
  const story = await settled(weights);
  story.tell(`brazilsouth joins${weights.keepRatio === undefined ? '' : `; placement.keepRatio is ${weights.keepRatio}`}.`);
  story.setCapacity('brazilsouth', 900 * 2 ** 20);
  await story.plan('schedule');
  story.show('brazilsouth');
  law('a region that joins has what is pulled most elsewhere before anybody asks', story.present('brazilsouth').includes('shop/web:v1'));
  const copied = story.copiedTo('brazilsouth');
  for (let days = 0; days < SILENT_DAYS; days += 3) {
    await story.traffic(3 * 24);
    story.show('brazilsouth');
  }
  law('and hardly anything besides is copied where nobody comes', story.copiedTo('brazilsouth') < 1.1 * copied);
  return story;
}

/** A tag moves to a bad version and is rolled back an hour later. */
async function tagRolledBack(): Promise<string> {
  const story = await settled();
  const good = story.images.find(({ image }) => image.repository === 'shop/cart')!.image;
  const bad = { ...imageOf('shop/cart', 'bad', story.clock.now()), tags: good.tags };
  story.tell('shop/cart:v1 moves to a new image.');
  const moved = story.push(bad);
  await story.plan('push', { only: 'shop/cart' });
  const others = story.images.filter(({ image }) => image !== good);
  await story.traffic(1, { of: [...others, { image: moved, part: 0.2 }] });
  law('what a tag named before stays while its successor is taken up', story.has('eastus', good));
  story.tell('It is bad: the tag moves back to the image that it named before.');
  const copied = story.copiedBytes;
  story.push(good);
  await story.plan('push', { only: 'shop/cart' });
  same('rolling back copies nothing', story.copiedBytes, copied);
  law('and is served at once', story.has('eastus', good));
  await story.traffic(24);
  story.tell('Three days later.');
  await story.clock.advance(3 * DAY_MS - HOUR_MS);
  await story.plan('schedule');
  story.show('eastus');
  return story.transcript;
}

function ratioOf(count: PullCount | undefined): number {
  return count === undefined ? 0 : count.hits / count.pulls;
}

/** What deployments live through that are well. */
export const STEADY: Readonly<Record<string, Scenario>> = {
  'region-fails-over': regionFailsOver,
  'flash-release': flashRelease,
  'cron-at-the-full-hour': cronAtTheFullHour,
  'new-cold-region': newColdRegion,
  'region-nobody-comes-to': regionNobodyComesTo,
  'tag-rolled-back': tagRolledBack,
};
