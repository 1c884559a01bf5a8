import type { ShareCatalogue } from '../storage/share-catalogue.js';
import type { OpenHandle, Sharing } from '../storage/open-handles.js';
import { AzureFilesError } from '../azure-error.js';
import { EmulatorError } from '../emulator-error.js';
import { disturbanceProblems } from './disturbance-problems.js';
import type { Disturbances, DisturbanceSettings, FaultKind } from './disturbances.js';

/** A file or folder of an emulator. */
export interface Place {
  readonly account: string;
  readonly share: string;
  readonly path: string;
}

/** Who holds something open; the defaults stand for any SMB client that reads. */
export interface HandleOwner {
  readonly clientIp?: string | undefined;
  readonly clientName?: string | undefined;
  /** What others may still do meanwhile; default: read. */
  readonly sharing?: Sharing | undefined;
}

/** What Azure has no operation for: disturbing an emulator, and acting on its shares as an SMB client or a failing disk would. */
export class EmulatorControl {
  readonly #disturbances: Disturbances;
  readonly #catalogues: ReadonlyMap<string, ShareCatalogue>;

  constructor(disturbances: Disturbances, catalogues: ReadonlyMap<string, ShareCatalogue>) {
    this.#disturbances = disturbances;
    this.#catalogues = catalogues;
  }

  /** The limits and faults that are set now. */
  get settings(): DisturbanceSettings {
    return this.#disturbances.settings;
  }

  /** How often each kind of fault has struck since the start. */
  get struck(): Readonly<Partial<Record<FaultKind, number>>> {
    return this.#disturbances.struck;
  }

  /** Replaces all limits and faults; `{}` ends them. @throws {EmulatorError} `EMULATOR_OPTIONS_INVALID` */
  disturb(settings: DisturbanceSettings): void {
    const problems = disturbanceProblems(settings);
    if (problems.length > 0) throw new EmulatorError('EMULATOR_OPTIONS_INVALID', problems.join('; '), { details: { problems } });
    this.#disturbances.set(settings);
  }

  /** Holds a file or folder open, as an SMB client does. @throws {AzureFilesError} when it is not there. */
  async openHandle({ account, share, path }: Place, { clientIp = '127.0.0.1:445', clientName = 'client', sharing = 'read' }: HandleOwner = {}): Promise<OpenHandle> {
    const { folder } = this.#catalogue(account).get(share);
    const entry = await folder.find(path);
    if (entry === undefined) throw new AzureFilesError('ResourceNotFound');
    return folder.handles.open(entry.path, { clientIp, clientName, sharing });
  }

  /** Closes a handle; false when it is not open. */
  closeHandle({ account, share }: Omit<Place, 'path'>, id: string): boolean {
    return this.#catalogue(account).get(share).folder.handles.close(id);
  }

  /** Damages one byte of a file on the disk: nothing but the file's content shows it. @throws {AzureFilesError} */
  async damage({ account, share, path }: Place, offset: number): Promise<void> {
    await this.#catalogue(account).get(share).folder.damage(path, offset);
  }

  #catalogue(account: string): ShareCatalogue {
    const catalogue = this.#catalogues.get(account);
    if (catalogue === undefined) throw new AzureFilesError('ResourceNotFound');
    return catalogue;
  }
}
