import { type CanActivate, type ExecutionContext, Injectable, mixin, type Type } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import type { AccessScope } from '#access';

import { noteCaller } from './callers.js';
import { HttpProblem } from './http-problem.js';
import { ServiceGate } from './service-gate.js';

/** Methods that change nothing. */
const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Admits requests that show a token for `scope`; `admin` means `admin:read` for methods that change nothing and `admin:write` for all others. Notes the caller. */
export function BearerGuard(scope: AccessScope | 'admin'): Type<CanActivate> {
  @Injectable()
  class Guard implements CanActivate {
    constructor(private readonly gate: ServiceGate) {}

    canActivate(context: ExecutionContext): boolean {
      const request = context.switchToHttp().getRequest<FastifyRequest>();
      const asked = scope === 'admin' ? (READING.has(request.method) ? 'admin:read' : 'admin:write') : scope;
      const caller = this.gate.check(request.headers.authorization, asked, { address: request.ip, socket: request.raw.socket });
      if (caller instanceof HttpProblem) throw caller;
      noteCaller(request, caller);
      return true;
    }
  }
  return mixin(Guard);
}
