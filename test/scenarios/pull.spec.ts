import { describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { MountAnswerBody } from '#contract';
import { LeaseBook, Lookup, type MapRow, type MappedReplicaState, MapFeeder, type MountAnswer, NearShares, type PullOutcome, PullObserver } from '#mounts';
import { digestNamed, expandedRow, imageRow, MemoryLeaseStore, MemoryMapSource, NamedMountSources } from '#mounts/testing';
import { formatDuration, SECOND_MS } from '#quantities';
import { RegionMap } from '#regions';

/** Shares are named after their regions; East US 2 is 7 ms from East US, everything else is far. */
const REGIONS = new RegionMap(
  ['westeurope', 'eastus', 'eastus2', 'southeastasia'].map((name) => ({ name, displayName: name })),
  'westeurope',
  [{ from: 'eastus2', to: 'eastus', roundTripMs: 7, throughputBytesPerSecond: 20e6, pricePerGb: 0 }],
  { roundTripMs: 90, throughputBytesPerSecond: 20e6, pricePerGb: 0.02 },
);
const LAYERS = ['base', 'runtime', 'app'];

class Listener extends PullObserver {
  readonly heard: string[] = [];

  observed({ region, image }: { readonly region: string; readonly image: string }): void {
    this.heard.push(`${region} pulled ${image === digestNamed('image') ? 'the image' : image}`);
  }
}

/** A lookup node that follows a source, and a transcript of what it is asked and answers. */
class Story {
  readonly clock = new ManualClock('2026-03-01T12:00:00.000Z');
  readonly source = new MemoryMapSource();
  readonly listener = new Listener();
  readonly sources = new NamedMountSources();
  readonly store = new MemoryLeaseStore();
  readonly book = new LeaseBook({ store: this.store, clock: this.clock });
  readonly feeder = new MapFeeder({ source: this.source, clock: this.clock });
  readonly lookup = new Lookup({
    feeder: this.feeder,
    near: new NearShares(REGIONS, REGIONS.regions.map(({ name }) => ({ name, region: name }))),
    sources: this.sources,
    leases: this.book,
    observer: this.listener,
    clock: this.clock,
  });
  #lines: string[] = [];

  async happens(what: string, ...rows: readonly MapRow[]): Promise<void> {
    this.source.write(...rows);
    await this.clock.advance(SECOND_MS);
    await this.feeder.poll().catch((error: Error) => this.say(`  (${error.message})`));
    this.say(`· ${what}`);
  }

  pulls(region: string, tag = 'v1'): void {
    this.say(`${region} pulls team/app:${tag}`);
    this.answer(this.lookup.pull({ repository: 'team/app', reference: { kind: 'tag', tag }, region }));
  }

  answer(outcome: PullOutcome): void {
    if (outcome.kind === 'expanding') {
      const { wantedCount, expandingCount } = outcome.progress;
      return this.say(`  expanding: ask again in ${formatDuration(outcome.retryAfterMs)}, ${wantedCount + expandingCount} layers to go`);
    }
    if (outcome.kind !== 'answer') return this.say(`  ${outcome.kind}`);
    this.layers(outcome.answer);
  }

  layers(answer: MountAnswer): void {
    // What goes over the wire follows the contract, whatever the story does.
    MountAnswerBody.parse(JSON.parse(JSON.stringify(answer)));
    for (const layer of answer.layers) {
      const name = LAYERS.find((each) => digestNamed(each) === layer.digest) ?? 'another layer';
      if (layer.kind === 'mount') this.say(`  ${name}: mount from ${layer.mounts.map((mount) => mount.region).join(', then ')}`);
      else this.say(`  ${name}: blob, ${layer.reason}${layer.expectedAt === undefined ? '' : `, expected in ${this.until(layer.expectedAt)}`}`);
    }
    if (answer.lease !== undefined) this.say(`  leased for ${this.until(answer.lease.expiresAt)}`);
  }

  until(instant: string | Date | undefined): string {
    return formatDuration(new Date(instant ?? 0).getTime() - this.clock.now().getTime());
  }

  say(line: string): void {
    this.#lines.push(line);
  }

  /** The transcript since it was last asked for. */
  told(): string {
    return `\n${this.#lines.splice(0).join('\n')}\n`;
  }
}

const repository: MapRow = { topic: 'repository', name: 'team/app', enabled: true };
const image = imageRow('team/app', 'image', LAYERS);
const tag: MapRow = { topic: 'tag', repository: 'team/app', tag: 'v1', digest: digestNamed('image') };
const layers = (state: 'wanted' | 'expanding', ...names: readonly string[]): MapRow[] => names.map((name) => ({ topic: 'layer', digest: digestNamed(name), state, since: new Date('2026-03-01T12:00:00.000Z') }));
const replicas = (share: string, state: MappedReplicaState, ...names: readonly string[]): MapRow[] =>
  names.map((name) => ({ topic: 'replica', layer: digestNamed(name), share, state }));

/** An image that is expanded and ready at home. */
async function expandedAtHome(): Promise<Story> {
  const story = new Story();
  await story.happens('the image is ready at home', repository, image, tag, ...LAYERS.map(expandedRow), ...replicas('westeurope', 'ready', ...LAYERS));
  story.told();
  return story;
}

describe('the life of a pull', () => {
  it('goes from unknown to mounted as the image is expanded and replicated', async () => {
    const story = new Story();
    story.pulls('eastus');
    await story.happens('the service has loaded what there is: nothing');
    story.pulls('eastus');
    await story.happens('the repository is enabled', repository);
    story.pulls('eastus');
    await story.happens('the push is examined', image, tag, ...layers('wanted', ...LAYERS));
    story.pulls('eastus');
    const baseAtHome = [expandedRow('base'), ...replicas('westeurope', 'ready', 'base')];
    await story.happens('the base is expanded at home, the runtime is next', ...baseAtHome, ...layers('expanding', 'runtime'));
    story.pulls('westeurope');
    story.pulls('eastus');
    const allAtHome = [...LAYERS.map(expandedRow), ...replicas('westeurope', 'ready', ...LAYERS)];
    await story.happens('everything is expanded, the base is on its way', ...allAtHome, ...replicas('eastus', 'copying', 'base'), ...replicas('eastus', 'wanted', 'runtime'));
    story.pulls('eastus');
    await story.happens('two of three layers have arrived', ...replicas('eastus', 'ready', 'base', 'app'), ...replicas('eastus', 'copying', 'runtime'));
    story.pulls('eastus');
    await story.happens('all have arrived', ...replicas('eastus', 'ready', ...LAYERS));
    story.pulls('eastus');
    story.pulls('southeastasia');
    story.pulls('atlantis');
    story.say(story.listener.heard.join(', '));
    expect(story.told()).toMatchInlineSnapshot(`
      "
      eastus pulls team/app:v1
        map-not-loaded
      · the service has loaded what there is: nothing
      eastus pulls team/app:v1
        repository-unknown
      · the repository is enabled
      eastus pulls team/app:v1
        image-unknown
      · the push is examined
      eastus pulls team/app:v1
        expanding: ask again in 1 s, 3 layers to go
      · the base is expanded at home, the runtime is next
      westeurope pulls team/app:v1
        base: mount from westeurope
        runtime: blob, LAYER_EXPANDING, expected in 1 s
        app: blob, LAYER_WANTED
        leased for 15 min
      eastus pulls team/app:v1
        base: blob, REPLICA_NONE
        runtime: blob, LAYER_EXPANDING, expected in 1 s
        app: blob, LAYER_WANTED
      · everything is expanded, the base is on its way
      eastus pulls team/app:v1
        base: blob, REPLICA_COPYING, expected in 2 s
        runtime: blob, REPLICA_WANTED
        app: blob, REPLICA_NONE
      · two of three layers have arrived
      eastus pulls team/app:v1
        base: mount from eastus
        runtime: blob, REPLICA_COPYING, expected in 2 s
        app: mount from eastus
        leased for 15 min
      · all have arrived
      eastus pulls team/app:v1
        base: mount from eastus
        runtime: mount from eastus
        app: mount from eastus
        leased for 15 min
      southeastasia pulls team/app:v1
        base: blob, REPLICA_NONE
        runtime: blob, REPLICA_NONE
        app: blob, REPLICA_NONE
      atlantis pulls team/app:v1
        base: blob, REGION_UNKNOWN
        runtime: blob, REGION_UNKNOWN
        app: blob, REGION_UNKNOWN
      eastus pulled the image, westeurope pulled the image, eastus pulled the image, eastus pulled the image, eastus pulled the image, eastus pulled the image, southeastasia pulled the image
      "
    `);
  });

  it('takes a near region where the own one has nothing', async () => {
    const story = await expandedAtHome();
    await story.happens('East US has it', ...replicas('eastus', 'ready', ...LAYERS));
    story.pulls('eastus2');
    await story.happens('the base is in East US 2 as well', ...replicas('eastus2', 'ready', 'base'));
    story.pulls('eastus2');
    story.sources.failing.add('eastus2');
    story.say('· the share in East US 2 cannot be asked');
    story.pulls('eastus2');
    expect(story.told()).toMatchInlineSnapshot(`
      "
      · East US has it
      eastus2 pulls team/app:v1
        base: mount from eastus
        runtime: mount from eastus
        app: mount from eastus
        leased for 15 min
      · the base is in East US 2 as well
      eastus2 pulls team/app:v1
        base: mount from eastus2, then eastus
        runtime: mount from eastus
        app: mount from eastus
        leased for 15 min
      · the share in East US 2 cannot be asked
      eastus2 pulls team/app:v1
        base: mount from eastus
        runtime: mount from eastus
        app: mount from eastus
        leased for 15 min
      "
    `);
  });

  it('leaves the answers before it leaves the share, and is leased until then', async () => {
    const story = await expandedAtHome();
    await story.happens('East US has it', ...replicas('eastus', 'ready', ...LAYERS));
    story.pulls('eastus');
    await story.book.flush();
    await story.happens('the app layer drains', ...replicas('eastus', 'draining', 'app'));
    story.pulls('eastus');
    const heldUntil = await story.store.heldUntil(digestNamed('app'), 'eastus', story.clock.now());
    story.say(`· the first node may have it mounted for another ${story.until(heldUntil)}`);
    story.source.delete('replica', [digestNamed('app'), 'eastus']);
    await story.happens('the app layer is gone');
    story.pulls('eastus');
    expect(story.told()).toMatchInlineSnapshot(`
      "
      · East US has it
      eastus pulls team/app:v1
        base: mount from eastus
        runtime: mount from eastus
        app: mount from eastus
        leased for 15 min
      · the app layer drains
      eastus pulls team/app:v1
        base: mount from eastus
        runtime: mount from eastus
        app: blob, REPLICA_DRAINING
        leased for 15 min
      · the first node may have it mounted for another 15 min
      · the app layer is gone
      eastus pulls team/app:v1
        base: mount from eastus
        runtime: mount from eastus
        app: blob, REPLICA_NONE
        leased for 15 min
      "
    `);
  });

  it('goes on without the database until what it knows is too old', async () => {
    const story = await expandedAtHome();
    story.source.before = () => {
      throw new Error('the database is down');
    };
    await story.happens('the database goes down');
    story.pulls('westeurope');
    await story.clock.advance(14 * 60 * SECOND_MS);
    await story.happens('fourteen minutes later');
    story.pulls('westeurope');
    await story.clock.advance(60 * SECOND_MS);
    await story.happens('a minute later');
    story.pulls('westeurope');
    story.source.before = () => undefined;
    await story.happens('the database is back');
    story.pulls('westeurope');
    expect(story.told()).toMatchInlineSnapshot(`
      "
        (the database is down)
      · the database goes down
      westeurope pulls team/app:v1
        base: mount from westeurope
        runtime: mount from westeurope
        app: mount from westeurope
        leased for 15 min
        (the database is down)
      · fourteen minutes later
      westeurope pulls team/app:v1
        base: mount from westeurope
        runtime: mount from westeurope
        app: mount from westeurope
        leased for 15 min
        (the database is down)
      · a minute later
      westeurope pulls team/app:v1
        base: blob, MAP_STALE
        runtime: blob, MAP_STALE
        app: blob, MAP_STALE
      · the database is back
      westeurope pulls team/app:v1
        base: mount from westeurope
        runtime: mount from westeurope
        app: mount from westeurope
        leased for 15 min
      "
    `);
  });

  it('rewrites a response that points home for the region that asks', async () => {
    const story = await expandedAtHome();
    await story.happens('two layers are in East US', ...replicas('eastus', 'ready', 'base', 'runtime'));
    const home = story.lookup.lookup({ repository: 'team/app', manifest: digestNamed('image'), layers: LAYERS.map(digestNamed), region: 'westeurope' });
    story.say('the registry has a response for westeurope');
    story.layers(home);
    story.say('rewritten for eastus');
    story.layers(story.lookup.rewrite({ response: home, region: 'eastus' }));
    story.say('rewritten for nowhere');
    story.layers(story.lookup.rewrite({ response: home, region: 'atlantis' }));
    expect(story.told()).toMatchInlineSnapshot(`
      "
      · two layers are in East US
      the registry has a response for westeurope
        base: mount from westeurope
        runtime: mount from westeurope
        app: mount from westeurope
        leased for 15 min
      rewritten for eastus
        base: mount from eastus
        runtime: mount from eastus
        app: blob, REPLICA_NONE
        leased for 15 min
      rewritten for nowhere
        base: blob, REGION_UNKNOWN
        runtime: blob, REGION_UNKNOWN
        app: blob, REGION_UNKNOWN
      "
    `);
  });
});
