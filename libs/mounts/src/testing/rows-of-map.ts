import type { LoadedRow, ManifestContent } from '../map-row.js';
import type { MappedManifest } from '../mapped-image.js';
import type { ReplicaMap } from '../replica-map.js';

/** Every row that a map holds, in the order of topics. */
export function* rowsOfMap({ tables: { repositories, layers, shareNames } }: ReplicaMap): Generator<LoadedRow, void> {
  for (const [name, { enabled }] of repositories) if (enabled !== undefined) yield { topic: 'repository', name, enabled };
  for (const [repository, { tags }] of repositories) for (const [tag, digest] of tags) yield { topic: 'tag', repository, tag, digest };
  const { digests, columns, replicas } = layers;
  for (let number = 0; number < digests.end; number += 1) {
    const expansion = columns.expansion(number);
    if (expansion !== undefined) yield { topic: 'layer', digest: digests.textOf(number), ...expansion };
  }
  for (const [repository, { images }] of repositories) for (const [digest, image] of images) yield { topic: 'image', repository, digest, content: contentOf(image) };
  for (let number = 0; number < digests.end; number += 1) {
    if (replicas.countOf(number) === 0) continue;
    yield { topic: 'replicas', layer: digests.textOf(number), replicas: Array.from(replicas.of(number), ({ share, state }) => ({ share: shareNames[share]!, state })) };
  }
}

function contentOf(image: MappedManifest): ManifestContent {
  if (image.kind === 'index') return image;
  return { kind: 'image', view: image.view?.digest, layers: image.layers.map(({ digest, diffId, sizeBytes }) => ({ digest, diffId, sizeBytes })) };
}
