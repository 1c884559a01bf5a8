import type { Digest } from '#oci';

import { blobLayer } from './answer-layer.js';
import { type AnswerContext, type Answered, answerLookup, answerViewOf, type PullCaller } from './answer-pull.js';
import type { AnsweredLayer } from './mount-answer.js';

/** A mount response that points to some region, usually home, and the caller it is to be rewritten for. */
export interface RewriteRequest extends PullCaller {
  readonly response: {
    readonly repository: string;
    readonly digest: Digest;
    readonly image?: { readonly digest: Digest } | undefined;
    readonly layers: readonly AnsweredLayer[];
  };
}

/**
 * Rewrites a mount response for another region: each mounted layer gets the mounts of the nearest ready replicas, or becomes the blob with
 * the reason why not; layers that were blobs stay as they are, and so does what the response says of the caller's holding them. The merged view, where the
 * response has one, gets mounts by the same rules, or goes. Nothing of the response's own sources is kept, and nothing
 * in it is trusted: what the repository does not have is a blob.
 */
export function rewriteMounts(request: RewriteRequest, context: AnswerContext): Answered {
  const { response, ...caller } = request;
  const mounted = response.layers.filter((layer) => layer.kind === 'mount').map((layer) => layer.digest);
  const answered = answerLookup({ ...caller, repository: response.repository, manifest: response.digest, layers: mounted }, context);
  const rewritten = new Map(answered.answer.layers.map((layer) => [layer.digest, layer]));
  const layers = response.layers.map((layer): AnsweredLayer =>
    layer.kind === 'blob' ? layer : (rewritten.get(layer.digest) ?? blobLayer(response.repository, layer.digest, 'LAYER_NOT_IN_IMAGE')));
  const { image, ...answer } = answered.answer;
  const held = [...answered.held];
  const view = image ?? answerViewOf({ ...caller, repository: response.repository, manifest: response.digest, layers: [], answered: layers }, context, held);
  if (view === undefined || view.digest !== response.image?.digest) return { ...answered, answer: { ...answer, layers } };
  return { ...answered, held, answer: { ...answer, image: view, layers } };
}
