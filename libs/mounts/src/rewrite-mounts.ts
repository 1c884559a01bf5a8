import type { Digest } from '#oci';

import { blobLayer } from './answer-layer.js';
import { type AnswerContext, type Answered, answerLookup, type PullCaller } from './answer-pull.js';
import type { AnsweredLayer } from './mount-answer.js';

/** A mount response that points to some region, usually home, and the caller it is to be rewritten for. */
export interface RewriteRequest extends PullCaller {
  readonly response: {
    readonly repository: string;
    readonly digest: Digest;
    readonly layers: readonly AnsweredLayer[];
  };
}

/**
 * Rewrites a mount response for another region: each mounted layer gets the mounts of the nearest ready replicas, or becomes the blob with
 * the reason why not; layers that were blobs stay as they are. Nothing of the response's own sources is kept, and nothing
 * in it is trusted: what the repository does not have is a blob.
 */
export function rewriteMounts(request: RewriteRequest, context: AnswerContext): Answered {
  const { response, ...caller } = request;
  const mounted = response.layers.filter((layer) => layer.kind === 'mount').map((layer) => layer.digest);
  const answered = answerLookup({ ...caller, repository: response.repository, manifest: response.digest, layers: mounted }, context);
  const rewritten = new Map(answered.answer.layers.map((layer) => [layer.digest, layer]));
  const layers = response.layers.map((layer): AnsweredLayer =>
    layer.kind === 'blob' ? layer : (rewritten.get(layer.digest) ?? blobLayer(response.repository, layer.digest, 'LAYER_NOT_IN_IMAGE')));
  return { ...answered, answer: { ...answered.answer, layers } };
}
