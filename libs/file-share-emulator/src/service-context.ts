import type { Access } from './access/access.js';
import type { Disturbances } from './control/disturbances.js';
import type { CopySourceReader } from './copy-source.js';
import type { FileCopies } from './file-copies.js';
import type { ShareCatalogue } from './storage/share-catalogue.js';
import type { TrafficMeter } from './traffic.js';

/** What all requests of one emulator share. */
export interface ServiceContext {
  readonly access: Access;
  readonly catalogues: ReadonlyMap<string, ShareCatalogue>;
  readonly traffic: TrafficMeter;
  readonly copySources: CopySourceReader;
  readonly copies: FileCopies;
  readonly disturbances: Disturbances;
  /** Told of failures that are no answer of Azure's: defects and the host's file system. */
  readonly onDefect: (error: unknown, operation: string) => void;
}
