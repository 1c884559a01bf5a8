import { join } from 'node:path';

import { Global, Module } from '@nestjs/common';

import { FailureBuckets, ServiceTokenStore, TokenBook, TokenFeeder, TrailStore } from '#access';
import { AccessStoresModule } from '#access/nest';
import { Clock } from '#clock';
import { type Logger, Metrics } from '#telemetry';

import { Settings } from '../foundation/settings.js';
import { LOGGER } from '../foundation/tokens.js';
import { ServiceGate } from '../http/service-gate.js';
import { certificateCallers } from '../http/tls/certificate-callers.js';
import { originOf } from '../pull/snapshot-origin.js';
import { bootstrapTokens } from './bootstrap-tokens.js';
import { TokenSnapshotFile } from './token-snapshot-file.js';
import { TokenFeeding } from './token-feeding.js';
import { TrailInterceptor } from './trail.interceptor.js';
import { TrailKeeper } from './trail-keeper.js';

/** Who may use the routes of registries and operators, and the trail of what they changed; in every role. */
@Global()
@Module({
  imports: [AccessStoresModule],
  providers: [
    { provide: FailureBuckets, useFactory: () => new FailureBuckets() },
    {
      provide: TokenBook,
      useFactory: (settings: Settings, clock: Clock) =>
        // Who notifies is asked only where a token for that is set: notifications are hints.
        new TokenBook({ clock, bootstrap: bootstrapTokens(settings), open: settings.secrets.notificationToken === undefined ? ['notify'] : [] }),
      inject: [Settings, Clock],
    },
    { provide: TokenFeeder, useFactory: tokenFeeder, inject: [ServiceTokenStore, TokenBook, Clock, LOGGER, Metrics, Settings] },
    {
      provide: ServiceGate,
      useFactory: (...[book, failures, clock, metrics, { config }]: [TokenBook, FailureBuckets, Clock, Metrics, Settings]) =>
        new ServiceGate({ book, failures, clock, metrics, certificates: config.server.tls === undefined ? undefined : certificateCallers(config.server.tls.clients, clock) }),
      inject: [TokenBook, FailureBuckets, Clock, Metrics, Settings],
    },
    { provide: TrailKeeper, useFactory: (store: TrailStore, clock: Clock, logger: Logger) => new TrailKeeper(store, clock, logger), inject: [TrailStore, Clock, LOGGER] },
    TrailInterceptor,
    TokenFeeding,
  ],
  exports: [AccessStoresModule, FailureBuckets, TokenBook, TokenFeeder, ServiceGate, TrailKeeper, TrailInterceptor],
})
export class AccessModule {}

function tokenFeeder(...[store, book, clock, logger, metrics, { config, secrets }]: [ServiceTokenStore, TokenBook, Clock, Logger, Metrics, Settings]): TokenFeeder {
  const feeder = new TokenFeeder({
    store, book, clock,
    // Beside the snapshot of the map, and of use as long as that is. The embedded database is there whenever the process is.
    snapshot: config.database.kind === 'server' ? { kept: new TokenSnapshotFile(join(config.folder, 'lookup', 'tokens.snapshot'), originOf(config, secrets.databaseUrl)), ageMaxMs: config.lookup.staleMax } : undefined,
    onFailure: (error) => logger.warn({ error }, 'service tokens could not be looked at; callers are let in by what is known'),
  });
  metrics.beforeScrape(async () => {
    metrics.tokensAgeSeconds.set(feeder.lookedAtMs === undefined ? Number.POSITIVE_INFINITY : (clock.now().getTime() - feeder.lookedAtMs) / 1000);
  });
  return feeder;
}
