import { createHash, timingSafeEqual } from 'node:crypto';

import { type CanActivate, type ExecutionContext, Injectable, mixin, type Type } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { type Audience, Settings } from '../foundation/settings.js';
import { HttpProblem } from './http-problem.js';

/** Admits requests that carry the bearer token of `audience`; the admin token opens the service's routes too. Without a configured token nobody is asked. */
export function BearerGuard(audience: Audience): Type<CanActivate> {
  @Injectable()
  class Guard implements CanActivate {
    constructor(private readonly settings: Settings) {}

    canActivate(context: ExecutionContext): boolean {
      const accepted = this.settings.tokens(audience);
      if (accepted.length === 0) return true;
      const header = context.switchToHttp().getRequest<FastifyRequest>().headers.authorization;
      const presented = /^Bearer ([\x21-\x7e]+)$/i.exec(header ?? '')?.[1];
      if (presented !== undefined && accepted.some((token) => sameSecret(token, presented))) return true;
      throw new HttpProblem(401, {
        code: 'UNAUTHORIZED',
        title: 'Authentication required',
        detail: `this route takes the ${audience} token as Authorization: Bearer`,
        headers: { 'www-authenticate': `Bearer realm="translocator"${presented === undefined ? '' : ', error="invalid_token"'}` },
      });
    }
  }
  return mixin(Guard);
}

/** Compares digests, so that neither length nor content leaks through time. */
function sameSecret(expected: string, presented: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(expected), digest(presented));
}
