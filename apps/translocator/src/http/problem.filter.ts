import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import type { Problem, RegistryErrorsBody } from '#contract';
import { CodedError } from '#errors';
import type { Logger } from '#telemetry';

import { isServiceErrorCode, STATUS_OF_CODE } from './error-status.js';
import { HttpProblem } from './http-problem.js';
import { SchemaProblem } from './schema-problem.js';

/** Paths on which clients of registries ask; they read errors in the registries' form. */
const REGISTRY_PATHS = /^\/(?:mount|acr|v2|oauth2)\//;
/** How soon a client may ask again after something passing. */
const RETRY_AFTER_SECONDS = 5;

/** Turns whatever ends a request into an RFC 9457 problem, or into a registry's errors on registry paths. What nobody foresaw is logged and shown as an internal error without details. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const problem = this.#problemOf(error, request);
    if (problem.status >= 500) this.logger.error({ error, method: request.method, path: request.url.split('?')[0] }, 'a request failed');
    if (error instanceof HttpProblem) void reply.headers(error.options.headers ?? {});
    if (problem.status === 503) void reply.header('retry-after', String(RETRY_AFTER_SECONDS));
    void reply.status(problem.status);
    if (REGISTRY_PATHS.test(request.url)) void reply.type('application/json').send(registryErrors(problem));
    else void reply.type('application/problem+json').send(problem);
  }

  #problemOf(error: unknown, request: FastifyRequest): Problem {
    if (error instanceof SchemaProblem) return error.problem;
    if (error instanceof HttpProblem) {
      const { code, title, detail, errors } = error.options;
      return { type: 'about:blank', title, status: error.status, detail, code, ...(errors === undefined ? {} : { errors: [...errors] }) };
    }
    if (error instanceof CodedError && isServiceErrorCode(error.code)) {
      const status = STATUS_OF_CODE[error.code];
      return { type: 'about:blank', title: titleOf(status), status, detail: error.message.slice(0, 2000), code: error.code };
    }
    if (error instanceof HttpException) return plainProblem(error.getStatus(), error.getStatus() === 404 ? `${request.method} ${request.url.split('?')[0]} is not a route of this service` : error.message);
    const status = (error as { statusCode?: unknown }).statusCode;
    if (typeof status === 'number' && status >= 400 && status < 500) return plainProblem(status, (error as Error).message);
    return plainProblem(500, 'the service could not do this; its log says why');
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is not valid', 401: 'Authentication required', 403: 'Not allowed', 404: 'Not found', 405: 'Method not allowed', 409: 'Conflict with what is there',
  413: 'The request is too large', 415: 'The content type is not supported', 422: 'The content cannot be used', 500: 'Internal error', 502: 'A service behind this one answered wrongly', 503: 'Not available now',
};

function titleOf(status: number): string {
  return TITLES[status] ?? `Status ${status}`;
}

function plainProblem(status: number, detail: string): Problem {
  const code = titleOf(status).toUpperCase().replaceAll(/[^A-Z]+/g, '_').replaceAll(/^_|_$/g, '').slice(0, 64);
  return { type: 'about:blank', title: titleOf(status), status, detail: detail.slice(0, 2000), code };
}

function registryErrors({ code, detail, errors }: Problem): RegistryErrorsBody {
  return { errors: [{ code, message: detail, ...(errors === undefined ? {} : { detail: errors }) }] };
}
