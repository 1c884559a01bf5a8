import type { IncomingMessage } from 'node:http';

import type { FastifyReply, FastifyRequest } from 'fastify';

import { refuseUnreadable } from './problem.filter.js';

/** Headers that say who asks and whom; a second one is read by some and passed over by others. */
const ONCE = new Set(['authorization', 'host', 'x-teleport-region', 'x-teleport-node']);
/** On these paths names of repositories stand. */
const NAMES_IN_PATH = /^\/(?:mount|acr|v2)\//;
/**
 * A slash, a backslash, a percent sign or a control character in disguise, or what nobody has to write that way (RFC 3986 §2.3: letters, digits, `-`, `.`, `_`, `~`): whoever compares paths
 * as they stand takes it for another path than whoever reads it.
 */
const DISGUISE = /%(?:[01][0-9a-f]|2[def5]|3\d|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9aef])/i;

/**
 * Refuses requests that two readers would read differently: a header twice that may be there once; a target that names its own host, or ends in a fragment; a path in disguise, which a proxy in
 * front takes for another; a body in a coding that is passed on as if it were none. Nothing that clients of registries send needs any of them.
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
  const coding = raw.headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return `Transfer-Encoding must be chunked, not ${coding.slice(0, 100)}`;
  // `OPTIONS *` has no path, and no route.
  if (!url.startsWith('/') && url !== '*') return 'the target of a request must be a path, and its host stand in Host';
  if (url.includes('#')) return 'the target of a request must have no fragment';
  const [path = ''] = url.split('?', 1);
  return DISGUISE.test(namesIn(path)) ? 'the path must have its letters, slashes and points as they are' : undefined;
}

/** The part of a path that must be written in one way only: of those with repositories' names all but the reference, which is read by itself; of others what routes begin with. */
function namesIn(path: string): string {
  if (!NAMES_IN_PATH.test(path)) return path.split('/', 3).join('/');
  return path.startsWith('/acr/') ? path : path.slice(0, path.lastIndexOf('/'));
}
