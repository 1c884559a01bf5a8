/** What a digest thread runs: one request at a time, in the order in which they come. */
import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** What is asked of a thread. The memory is given away to it. */
export interface DigestRequest {
  /** Comes back with the answer. */
  readonly job: number;
  /**
   * `blocks`: the digests of the blocks of the bytes. `append`: takes the bytes into the hash of a stream, which begins with its first ones. `end`: the digest
   * of a stream, which is over then. `drop`: forgets a stream.
   */
  readonly task: 'blocks' | 'append' | 'end' | 'drop';
  /** Which stream. */
  readonly stream: number;
  readonly memory: ArrayBuffer;
  /** How much of the memory counts. */
  readonly length: number;
}

/** What a thread answers. */
export interface DigestReply {
  readonly job: number;
  /** Of `blocks` and `end`. */
  readonly digests: Uint8Array<ArrayBuffer>;
}

// Run from source, what is imported is TypeScript too; Node strips its types by itself, but does not look for it under another name.
const imported = import.meta.url.endsWith('.ts') ? './block-digests.ts' : './block-digests.js';
const { blockDigests } = (await import(imported)) as typeof import('./block-digests.js');

const streams = new Map<number, Hash>();
const port = parentPort!;

function answer({ task, stream, memory, length }: DigestRequest): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(memory, 0, length);
  let hash = streams.get(stream);
  switch (task) {
    case 'blocks':
      return Uint8Array.from(blockDigests(bytes));
    case 'append':
      if (hash === undefined) streams.set(stream, (hash = createHash('sha256')));
      hash.update(bytes);
      return new Uint8Array(0);
    case 'end':
      streams.delete(stream);
      return Uint8Array.from(hash!.update(bytes).digest());
    case 'drop':
      streams.delete(stream);
      return new Uint8Array(0);
  }
}

port.on('message', (request: DigestRequest) => {
  const reply: DigestReply = { job: request.job, digests: answer(request) };
  // Given back at once: left to the garbage collector, it would be collected for nothing else.
  request.memory.transfer(0);
  port.postMessage(reply, [reply.digests.buffer]);
});
