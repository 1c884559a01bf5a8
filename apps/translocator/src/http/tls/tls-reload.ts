import type { Server } from 'node:tls';

import type { Clock } from '#clock';
import { SECOND_MS } from '#quantities';
import type { Logger, Metrics } from '#telemetry';

import { checkTlsFiles, readTlsFiles, type TlsMaterial, type TlsPaths } from './tls-files.js';

/** How often the files are read: some kilobytes, and no watcher that misses what a link led to before. */
export const TLS_LOOK_EVERY_MS = SECOND_MS;
/** The oldest protocol that is spoken. */
export const TLS_VERSION_MIN = 'TLSv1.2';

/** What a {@link TlsReload} is made with. */
export interface TlsReloadOptions {
  readonly paths: TlsPaths;
  /** What the server shows now. */
  readonly material: TlsMaterial;
  readonly server: Pick<Server, 'setSecureContext'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default {@link TLS_LOOK_EVERY_MS}. */
  readonly everyMs?: number;
}

/**
 * Has a server show what stands in its files: when their contents change and fit together, new connections get the new ones, and old ones live on. Contents that do not
 * fit are refused, whole: the server goes on with what it has, and says so once for each. A pair that is written one file after the other is taken at the look after both.
 */
export class TlsReload {
  readonly #options: TlsReloadOptions;
  readonly #stopping = new AbortController();
  #shown: string;
  #refused: string | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: TlsReloadOptions) {
    this.#options = options;
    this.#shown = nameOf(options.material);
    options.metrics.tlsExpiry.set(options.material.expiresAt.getTime() / 1000);
  }

  /** Begins to look. Repeating it changes nothing. */
  start(): void {
    this.#looking ??= this.#lookForever();
  }

  /** Stops looking. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
  }

  /** Looks once. Never throws. */
  async look(): Promise<void> {
    const { paths, server, clock, logger, metrics } = this.#options;
    let name = 'unreadable';
    try {
      const contents = await readTlsFiles(paths);
      name = nameOf(contents);
      if (name === this.#shown) {
        this.#refused = undefined;
        return;
      }
      const material = checkTlsFiles(contents, paths, clock.now());
      server.setSecureContext({ ...secureOptions(material) });
      [this.#shown, this.#refused] = [name, undefined];
      metrics.tlsReloads.inc({ outcome: 'taken' });
      metrics.tlsExpiry.set(material.expiresAt.getTime() / 1000);
      logger.info({ expiresAt: material.expiresAt }, 'a new TLS certificate is shown');
    } catch (error) {
      if (this.#refused === name) return;
      this.#refused = name;
      metrics.tlsReloads.inc({ outcome: 'refused' });
      logger.error({ error }, 'new TLS files were refused; the ones from before stay in use');
    }
  }

  async #lookForever(): Promise<void> {
    const { clock, everyMs = TLS_LOOK_EVERY_MS } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason;
      });
      if (!signal.aborted) await this.look();
    }
  }
}

/** How the material is given to Node. */
export function secureOptions({ cert, key, ca }: TlsMaterial): { cert: string; key: string; ca?: string; minVersion: typeof TLS_VERSION_MIN } {
  return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: TLS_VERSION_MIN };
}

function nameOf({ cert, key, ca }: { readonly cert: string; readonly key: string; readonly ca: string | undefined }): string {
  return JSON.stringify([cert, key, ca ?? null]);
}
