import type { IncomingMessage } from 'node:http';

import type { FastifyReply, FastifyRequest } from 'fastify';

import { refuseUnreadable } from './problem.filter.js';

/** Headers that say who asks and whom; a second one is read by some and passed over by others. */
const ONCE = new Set(['authorization', 'host', 'x-teleport-region', 'x-teleport-node']);
/** On these paths names of repositories stand. */
const NAMES_IN_PATH = /^\/(?:mount|acr|v2)\//;
/** A slash, a point, a backslash, a percent sign or a control character in disguise. */
const DISGUISE = /%(?:2[ef5]|5c|[01][0-9a-f]|7f)/i;

/**
 * Refuses requests that two readers would read differently: a header twice that may be there once, and a repository's name in disguise, which a proxy in front
 * takes for another. Nothing that clients of registries send needs either.
 */
export async function refuseTwoFaced(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const fault = faultOf(request);
  if (fault === undefined) return undefined;
  refuseUnreadable(Object.assign(new Error(fault), { statusCode: 400 }), request, reply);
  return reply;
}

/** True when a header that may be there once is there twice. */
export function isDoubled({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): boolean {
  let seen = 0;
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const name = rawHeaders[place] ?? '';
    // Most headers have none of these lengths, and no two of these names the same.
    if ((name.length === 4 || name.length === 13 || name.length === 15 || name.length === 17) && ONCE.has(name.toLowerCase())) {
      const bit = 1 << name.length;
      if ((seen & bit) !== 0) return true;
      seen |= bit;
    }
  }
  return false;
}

function faultOf({ raw, url }: FastifyRequest): string | undefined {
  if (isDoubled(raw)) return `each of the headers ${[...ONCE].join(', ')} may be there once`;
  const [path = ''] = url.split('?', 1);
  // The last part of a path below /mount and /v2 is a reference, and is read by itself.
  const names = path.startsWith('/acr/') ? path : path.slice(0, path.lastIndexOf('/'));
  return NAMES_IN_PATH.test(path) && DISGUISE.test(names) ? 'the path must have its slashes and points as they are' : undefined;
}
