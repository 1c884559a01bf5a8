import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Observable } from 'rxjs';

import { TrailKeeper } from './trail-keeper.js';

const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** Has every call that may change something written to the trail before it is carried out. Its outcome is written by the hook of `configureHttp`. Goes behind a guard that notes the caller. */
@Injectable()
export class TrailInterceptor implements NestInterceptor {
  constructor(private readonly trail: TrailKeeper) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    if (CHANGING.has(request.method)) await this.trail.begin(request);
    return next.handle();
  }
}
