import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { Module } from '@nestjs/common';

import { FailureBuckets, TokenBook } from '#access';
import { Clock } from '#clock';
import { ChangeFeed, type FeedPosition, wholeTransactionsUpTo } from '#database';
import { DemandRecorder } from '#demand';
import { ExpandedLayerStore } from '#expansion';
import { AnsweringBeats, AnsweringEntry, AnsweringProcesses, CallerNetworks, HealthyMountSources, LeaseBook, LeaseStore, Lookup, MapFeeder, type MapTopic, NearShares, PREPARED_KEPT_MS, removalWaitMs, ShareHealth, ShareMountSources } from '#mounts';
import { RegionMap } from '#regions';
import { CatalogueReader, RegistryClient } from '#registry';
import { ReplicaStore, ShareDrains } from '#replication';
import { type Logger, Metrics } from '#telemetry';

import { DemandRecordingModule } from '../demand/demand-recording.module.js';
import { searchAfterLoad } from '../foundation/engine-garbage.js';
import { Settings } from '../foundation/settings.js';
import { ShareSet } from '../foundation/share-set.js';
import { LOGGER, ProcessName } from '../foundation/tokens.js';
import { AnswerLine } from './answer-line.js';
import { ReportController } from './report.controller.js';
import { ShareProbing } from './share-probing.js';
import { LeaseController } from './lease.controller.js';
import { DoorKeeping } from './door-keeping.js';
import { DrainFollowing, DRAINS_LOOK_MIN_MS } from './drain-following.js';
import { LoopLoad } from './loop-load.js';
import { LookupController } from './lookup.controller.js';
import { LookupDoor } from './lookup-door.js';
import { MapSnapshotFile } from './map-snapshot-file.js';
import { originOf } from './snapshot-origin.js';
import { MapFollowing } from './map-following.js';
import { MountController } from './mount.controller.js';
import { PullAuthority } from './pull-authority.js';
import { RecordedPulls } from './recorded-pulls.js';
import { StoredMapSource } from './stored-map-source.js';
import { tokenTerms } from './token-terms.js';
import { UnwaitedProbe } from './unwaited-probe.js';

/** The role `lookup`: answers pulls from memory. */
@Module({
  imports: [DemandRecordingModule],
  controllers: [MountController, LookupController, LeaseController, ReportController],
  providers: [
    { provide: PullAuthority, useFactory: pullAuthority, inject: [RegistryClient, Clock, FailureBuckets, Metrics, Settings, LOGGER] },
    { provide: AnsweringEntry, useFactory: answeringEntry, inject: [AnsweringProcesses, ProcessName, Clock, Settings] },
    { provide: StoredMapSource, useFactory: mapSource, inject: [ChangeFeed, CatalogueReader, ExpandedLayerStore, ReplicaStore, AnsweringEntry, Clock, LOGGER] },
    { provide: MapFeeder, useFactory: mapFeeder, inject: [StoredMapSource, Clock, Settings, LOGGER] },
    { provide: LeaseBook, useFactory: leaseBook, inject: [LeaseStore, Clock, Settings, LOGGER] },
    { provide: RecordedPulls, useFactory: (recorder: DemandRecorder, metrics: Metrics) => new RecordedPulls(recorder, metrics), inject: [DemandRecorder, Metrics] },
    { provide: ShareHealth, useFactory: (shares: ShareSet) => new ShareHealth(shares.byName.keys()), inject: [ShareSet] },
    { provide: DrainFollowing, useFactory: drainFollowing, inject: [ShareDrains, ShareHealth, Settings, LOGGER] },
    { provide: ShareProbing, useFactory: shareProbing, inject: [ShareSet, ShareHealth, Clock, Metrics, Settings, LOGGER] },
    { provide: Lookup, useFactory: lookup, inject: [MapFeeder, RegionMap, ShareSet, ShareHealth, LeaseBook, RecordedPulls, LoopLoad, Clock, Metrics, Settings, LOGGER] },
    { provide: LoopLoad, useFactory: ({ config }: Settings) => new LoopLoad(config.lookup.busyAfter), inject: [Settings] },
    {
      provide: LookupDoor,
      useFactory: (answers: Lookup, load: LoopLoad, book: TokenBook, metrics: Metrics, { config }: Settings) => new LookupDoor({ lookup: answers, line: new AnswerLine(), load, book, metrics, bodyWithinMs: config.server.requestWithin }),
      inject: [Lookup, LoopLoad, TokenBook, Metrics, Settings],
    },
    DoorKeeping,
    { provide: MapSnapshotFile, useFactory: mapSnapshot, inject: [MapFeeder, AnsweringEntry, Clock, Settings, LOGGER] },
    { provide: AnsweringBeats, useFactory: answeringBeats, inject: [AnsweringEntry, MapFeeder, LeaseBook, MapSnapshotFile, Clock, LOGGER] },
    MapFollowing,
  ],
  exports: [LoopLoad, MapFeeder, MapFollowing],
})
export class PullModule {}

function pullAuthority(...[registry, clock, failures, metrics, { config }, logger]: [RegistryClient, Clock, FailureBuckets, Metrics, Settings, Logger]): PullAuthority {
  return new PullAuthority(new UnwaitedProbe(registry), clock, {
    tokens: tokenTerms(config.registry, clock, logger),
    failures,
    patienceMinMs: config.lookup.registryPatience,
    onRefused: (reason) => metrics.authFailures.inc({ kind: 'pull', reason }),
  });
}

function mapSource(...[feed, catalogue, layers, replicas, entry, clock, logger]: [ChangeFeed, CatalogueReader, ExpandedLayerStore, ReplicaStore, AnsweringEntry, Clock, Logger]): StoredMapSource {
  const onPageFailed = (topic: MapTopic, error: unknown): void => logger.warn({ topic, error }, 'a page of the lookup map could not be read; it is read again');
  return new StoredMapSource({ feed, catalogue, layers, replicas, entry, clock, onPageFailed });
}

function mapFeeder(source: StoredMapSource, clock: Clock, { config }: Settings, logger: Logger): MapFeeder {
  let answers = false;
  return new MapFeeder({
    source,
    clock,
    pollMs: config.lookup.followEvery,
    onReport: (report) => {
      if (report.kind === 'failed') logger.warn({ error: report.error }, 'the lookup map could not follow the database; it answers from what it knows');
      else if (report.kind !== 'followed') logger.info({ ...report }, 'the lookup map');
      // A load after a gap has others waiting for answers.
      if (report.kind === 'loaded' && !answers) searchAfterLoad();
      answers ||= report.kind !== 'failed';
    },
  });
}

function mapSnapshot(...[feeder, entry, clock, { config, secrets }, logger]: [MapFeeder, AnsweringEntry, Clock, Settings, Logger]): MapSnapshotFile {
  return new MapSnapshotFile({
    path: join(config.folder, 'lookup', 'map.snapshot'),
    origin: originOf(config, secrets.databaseUrl),
    feeder,
    clock,
    ageMaxMs: config.lookup.staleMax,
    speaker: () => entry.speaker,
    onReport: (report) => {
      if (report.kind === 'failed') logger.warn({ error: report.error }, 'the snapshot of the lookup map could not be written; the one from before stays');
      else if (report.kind === 'refused') logger.info({ reason: (report.error as Error).message }, 'no snapshot of the lookup map is used');
      else logger.info({ ...report }, 'the snapshot of the lookup map');
    },
  });
}

function answeringEntry(store: AnsweringProcesses, { text }: ProcessName, clock: Clock, { config }: Settings): AnsweringEntry {
  return new AnsweringEntry({ store, id: randomUUID(), name: text, clock, removalWaitMs: removalWaitMs({ leaseTtlMs: config.leases.ttl, mapAgeMaxMs: config.lookup.staleMax }) });
}

function answeringBeats(...[entry, feeder, leases, disk, clock, logger]: [AnsweringEntry, MapFeeder, LeaseBook, MapSnapshotFile, Clock, Logger]): AnsweringBeats {
  const onFailure = (error: unknown): void => logger.warn({ error }, 'it could not be acknowledged what is known: drains wait their whole grace meanwhile');
  return new AnsweringBeats({ entry, feeder, leases, disk, clock, placeOf: (position) => wholeTransactionsUpTo(position as FeedPosition), onFailure });
}

function drainFollowing(drains: ShareDrains, health: ShareHealth, { config }: Settings, logger: Logger): DrainFollowing {
  return new DrainFollowing({ drains, health, everyMs: Math.max(DRAINS_LOOK_MIN_MS, config.lookup.followEvery), logger });
}

function shareProbing(...[shares, health, clock, metrics, { config }, logger]: [ShareSet, ShareHealth, Clock, Metrics, Settings, Logger]): ShareProbing {
  return new ShareProbing({ shares: shares.byName.values(), health, everyMs: config.lookup.probeEvery, clock, metrics, logger });
}

function leaseBook(store: LeaseStore, clock: Clock, { config }: Settings, logger: Logger): LeaseBook {
  return new LeaseBook({ store, clock, ttlMs: config.leases.ttl, onFailure: (error) => logger.warn({ error }, 'leases could not be written yet') });
}

// One argument for each part that an answer is made of; Nest injects them by position.
function lookup(...[feeder, regions, shares, health, leases, observer, load, clock, metrics, { config }, logger]: [MapFeeder, RegionMap, ShareSet, ShareHealth, LeaseBook, RecordedPulls, LoopLoad, Clock, Metrics, Settings, Logger]): Lookup {
  const nfsShares = config.regions.list.filter(({ share }) => share.protocol === 'nfs').map(({ name }) => name);
  return new Lookup({
    feeder,
    near: new NearShares(regions, [...shares.byName.values()], config.regions.nearRoundTripMaxMs, config.regions.farMounts),
    // A grant outlives the lease that is given with it, renewed once, also when the answer was prepared a little before.
    sources: new HealthyMountSources(new ShareMountSources({ shares: shares.byName, grantMs: 4 * config.leases.ttl + 2 * PREPARED_KEPT_MS, nfsBound: new Set(nfsShares) }), health),
    networks: new CallerNetworks(config.regions.list.map(({ name, share }) => ({ share: name, networks: share.networks, folders: share.folders }))),
    leases,
    observer,
    clock,
    mapAgeMaxMs: config.lookup.staleMax,
    isBusy: () => load.isLoaded,
    onShed: () => metrics.lookupsShed.inc({ cause: 'loop' }),
    onFailure: (error) => logger.warn({ error }, 'an answer went out without its lease or its observation'),
  });
}
