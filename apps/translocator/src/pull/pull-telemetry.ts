import { createHash } from 'node:crypto';

import type { FastifyRequest } from 'fastify';

import type { MountAnswer } from '#mounts';
import type { Metrics } from '#telemetry';

/** The header by which a node names itself: behind a proxy all nodes may have one address. */
export const NODE_HEADER = 'x-teleport-node';
/** Characters of a node's name; a longer one is passed over. */
export const NODE_NAME_LENGTH_MAX = 200;

/** Names the caller without revealing it: a hash of the name that it gives itself or, without one, of its address and its user agent. */
export function clientOf(request: Pick<FastifyRequest, 'headers' | 'ip'>): string {
  const named = request.headers[NODE_HEADER];
  const node = typeof named === 'string' ? named.trim() : '';
  if (node !== '' && node.length <= NODE_NAME_LENGTH_MAX) return clientHash(`node ${node}`);
  return clientHash(`${request.ip} ${request.headers['user-agent'] ?? ''}`);
}

/** A name that says nothing of what it was made from. */
export function clientHash(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

/** Counts an answer and its layers. */
export function countAnswer(metrics: Metrics, answer: MountAnswer): void {
  metrics.lookups.inc({ outcome: 'ok' });
  for (const layer of answer.layers) metrics.lookupLayers.inc({ kind: layer.kind, reason: layer.kind === 'blob' ? layer.reason : '' });
}
