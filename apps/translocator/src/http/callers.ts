import type { FastifyRequest } from 'fastify';

import type { Caller } from '#access';

const CALLERS = new WeakMap<FastifyRequest, Caller>();

/** Notes who a request comes from, once a guard has let it in. */
export function noteCaller(request: FastifyRequest, caller: Caller): void {
  CALLERS.set(request, caller);
}

/** Who a request comes from. @throws {Error} for one that no guard has let in: a defect, and no reason to go on. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = CALLERS.get(request);
  if (caller === undefined) throw new Error('no guard has let this request in');
  return caller;
}
