import type { LayerState, MappedReplicaState } from '#mounts';
import { LAYER_FILE_VERSION } from '#shares';

/**
 * Why what passes is not kept.
 *
 * Of the answer: `NOT_WHOLE` a part, or another representation of the blob; `REDIRECTED` the bytes come from elsewhere, and do not pass; `LENGTH_UNKNOWN`; `OTHER_REGION` the node says that it
 * is of another region than this gateway's.
 * Of the layer: `REPOSITORY_NOT_ENABLED`; `NOT_EXPANDED` at home, or a merged view's digest; `OLD_VERSION` its file is of a version that is not made any more; `THERE`, `COPYING`, `DRAINING` what the region's share has
 * of it; `UNORDERED_FULL` nobody ordered it, and it is larger than what may be kept so.
 */
export type NotKept =
  | 'NOT_WHOLE'
  | 'REDIRECTED'
  | 'LENGTH_UNKNOWN'
  | 'OTHER_REGION'
  | 'REPOSITORY_NOT_ENABLED'
  | 'NOT_EXPANDED'
  | 'OLD_VERSION'
  | 'THERE'
  | 'COPYING'
  | 'DRAINING'
  | 'UNORDERED_FULL';

/** The registry's answer to a `GET` of a blob, before its body. */
export interface PassingAnswer {
  readonly status: number;
  /** Whether the client asked for a part. */
  readonly isRange: boolean;
  /** The answer's `Content-Encoding`; undefined or `identity`: the bytes are the blob's own. */
  readonly encoding: string | undefined;
  /** Of the answer's body, as it says. */
  readonly lengthBytes: number | undefined;
  /** Where the node says that it is. */
  readonly namedRegion: string | undefined;
}

/** What is known in memory of the layer, at home and in the gateway's region. */
export interface PassingLayerFacts {
  readonly isEnabled: boolean;
  readonly expansion: LayerState | undefined;
  readonly atHome: MappedReplicaState | undefined;
  readonly here: MappedReplicaState | undefined;
}

/** What a gateway may keep. */
export interface KeepingTerms {
  readonly region: string;
  /** Of what nobody ordered. */
  readonly unorderedBytesMax: number;
}

/**
 * Decides by what is in memory whether the body that follows is worth setting aside. What is decided for good, by the database, is `admitPassing` once the body is whole.
 * @returns why not; undefined: it is.
 */
export function keepOrNot(answer: PassingAnswer, layer: PassingLayerFacts, terms: KeepingTerms): NotKept | undefined {
  if (answer.status > 300 && answer.status < 400 && answer.status !== 304) return 'REDIRECTED';
  if (answer.status !== 200 || answer.isRange || (answer.encoding ?? 'identity') !== 'identity') return 'NOT_WHOLE';
  if (answer.lengthBytes === undefined || answer.lengthBytes === 0) return 'LENGTH_UNKNOWN';
  if (answer.namedRegion !== undefined && answer.namedRegion !== terms.region) return 'OTHER_REGION';
  if (!layer.isEnabled) return 'REPOSITORY_NOT_ENABLED';
  const { expansion } = layer;
  if (expansion?.state !== 'expanded' || expansion.diffId === undefined || layer.atHome !== 'ready') return 'NOT_EXPANDED';
  if (expansion.writerVersion !== LAYER_FILE_VERSION) return 'OLD_VERSION';
  switch (layer.here) {
    case 'ready':
      return 'THERE';
    case 'copying':
      return 'COPYING';
    case 'draining':
      return 'DRAINING';
    case 'wanted':
      return undefined;
    case undefined:
      return expansion.vhd.sizeBytes > terms.unorderedBytesMax ? 'UNORDERED_FULL' : undefined;
  }
}
