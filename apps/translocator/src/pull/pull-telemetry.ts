import { createHash } from 'node:crypto';

import type { FastifyRequest } from 'fastify';

import type { MountAnswer } from '#mounts';
import type { Metrics } from '#telemetry';

/** Names the caller without revealing it: a hash of its address and of who it says it is. */
export function clientOf(request: FastifyRequest): string {
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
