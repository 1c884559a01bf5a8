import { LayerBlobs, type LayerToExpand } from '#expansion';
import type { Digest } from '#oci';
import { type ImageStore, isUnknown, RegistryError, type RegistryReader } from '#registry';

/** Images that are asked for another way to a layer: enough to find one, few enough to ask for. */
const OTHER_IMAGES_MAX = 20;

/** Where expansion reads layers: the registry, through whichever repository still serves the blob. */
export class RegistryLayerBlobs extends LayerBlobs {
  readonly #registry: RegistryReader;
  readonly #images: Pick<ImageStore, 'imagesByLayer'>;

  constructor(registry: RegistryReader, images: Pick<ImageStore, 'imagesByLayer'>) {
    super();
    this.#registry = registry;
    this.#images = images;
  }

  open(repository: string, { digest }: LayerToExpand, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return Promise.resolve(this.#read(repository, digest, signal));
  }

  /** Another repository is tried only while nothing has been read: bytes are never joined from two. */
  async *#read(repository: string, digest: Digest, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let failure: unknown;
    for await (const candidate of this.#repositoriesOf(digest, repository)) {
      let begun = false;
      try {
        for await (const chunk of this.#blob(candidate, digest, signal)) {
          begun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        if (begun || !isClosed(error)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  /** First the one that is named; the others are looked for only when it fails. */
  async *#repositoriesOf(digest: Digest, named: string): AsyncGenerator<string, void, undefined> {
    yield named;
    const others = new Set((await this.#images.imagesByLayer(digest, { limit: OTHER_IMAGES_MAX })).map((image) => image.repository));
    others.delete(named);
    yield* others;
  }

  /** The size is what some image claims: a wrong one must not keep the layer from anybody. */
  #blob(repository: string, digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#registry.blob(repository, { digest }, signal);
  }
}

/** True when this repository does not give the blob, which another one may. */
function isClosed(error: unknown): boolean {
  return isUnknown(error) || (error instanceof RegistryError && (error.code === 'DENIED' || error.code === 'UNAUTHORIZED'));
}
