import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { refuseMethod } from './problem.filter.js';

/** One path that the service knows, as its router has it, and the methods that it takes there. */
interface KnownPath {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/**
 * Which methods each path of the service takes, noted while routes are added. What asks a known path with another method is answered 405 and told them in `Allow` (RFC 9110 §15.5.6); `OPTIONS` is
 * told them with 204 (§9.3.7), whoever asks: the description of the API says as much.
 */
export class KnownMethods {
  readonly #paths = new Map<string, KnownPath>();

  /** Listens to the routes that are added from now on, and answers for those that are not there. */
  attach(instance: FastifyInstance): void {
    instance.addHook('onRoute', ({ url, method }) => this.note(url, [method].flat()));
    instance.addHook('onRequest', async (request, reply) => this.#answer(request, reply));
  }

  /** Adds a route: its path with `:parameters` and a `*` at its end, as the router takes it. */
  note(url: string, methods: readonly string[]): void {
    const known = this.#paths.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const method of methods) known.methods.add(method);
    this.#paths.set(url, known);
  }

  /** The methods that a path takes, `OPTIONS` among them, by name; empty for a path that the service does not know. Cost follows the number of routes. */
  methodsOf(path: string): string[] {
    const known = [...this.#paths.values()].filter(({ pattern }) => pattern.test(path));
    return known.length === 0 ? [] : [...new Set(known.flatMap(({ methods }) => [...methods])).add('OPTIONS')].toSorted();
  }

  #answer(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    if (!request.is404) return undefined;
    const methods = this.methodsOf(request.url.split('?', 1)[0] ?? '');
    if (methods.length === 0 || (methods.includes(request.method) && request.method !== 'OPTIONS')) return undefined;
    void reply.header('allow', methods.join(', '));
    if (request.method === 'OPTIONS') void reply.status(204).send();
    else refuseMethod(request, reply, methods);
    return reply;
  }
}

/** What the router would match: a parameter is one segment or the rest of one, a star whatever follows. */
function patternOf(url: string): RegExp {
  const parts = url.split(/(:[A-Za-z0-9_]+|\*$)/);
  return new RegExp(`^${parts.map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replaceAll(/[\^$.*+?()[\]{}|]/g, '\\$&'))).join('')}$`);
}
