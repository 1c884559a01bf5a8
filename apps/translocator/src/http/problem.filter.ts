import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import type { Problem, RegistryErrorsBody } from '#contract';
import { CodedError } from '#errors';
import type { Logger } from '#telemetry';

import { isServiceErrorCode, STATUS_OF_CODE } from './error-status.js';
import { HttpProblem, type LackingAccess } from './http-problem.js';
import { SchemaProblem } from './schema-problem.js';

/** Paths on which clients of registries ask; they read errors in the registries' form. */
const REGISTRY_PATHS = /^\/(?:mount|acr|v2|oauth2)\//;
/** How soon a client may ask again after something passing. */
const RETRY_AFTER_SECONDS = 5;

/** Turns whatever ends a request into an RFC 9457 problem, or into a registry's errors on registry paths. What nobody foresaw is logged and shown as an internal error without details. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  /** @param bodyBytesMax how many bytes the body of a request may have. */
  constructor(
    private readonly logger: Logger,
    private readonly bodyBytesMax: (request: FastifyRequest) => number,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const problem = this.#problemOf(error, request);
    if (problem.status >= 500) this.logger.error({ error, method: request.method, path: request.url.split('?')[0] }, 'a request failed');
    if (error instanceof HttpProblem) void reply.headers(error.options.headers ?? {});
    if (problem.status === 503) void reply.header('retry-after', String(RETRY_AFTER_SECONDS));
    sendProblem(problem, request, reply, error instanceof HttpProblem ? error.options.lacking : undefined);
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
    const status = error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown }).statusCode;
    if (typeof status === 'number' && status >= 400 && status < 500) return plainProblem(status, refusal(status, (error as Error).message, request, this.bodyBytesMax));
    return plainProblem(500, 'the service could not do this; its log says why');
  }
}

/** What to tell a client whom the framework refused: its own words, but where they leave out what was wrong. */
function refusal(status: number, message: string, request: FastifyRequest, bodyBytesMax: (request: FastifyRequest) => number): string {
  if (status === 404) return `${request.method} ${request.url.split('?')[0]} is not a route of this service`;
  if (status === 413) return `the body of this request may have at most ${bodyBytesMax(request)} bytes`;
  if (status === 415) return `a body of the type ${request.headers['content-type'] ?? 'that is not named'} cannot be read here`;
  return message;
}

/** Answers requests whose URL the router cannot read: they reach no controller and no filter. */
export function refuseUnreadable(error: Error & { readonly statusCode?: number }, request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(plainProblem(error.statusCode ?? 400, error.message), request, reply);
}

/** Answers a request for a path that takes other methods; clients of registries know that as an operation that is not supported. */
export function refuseMethod(request: FastifyRequest, reply: FastifyReply, methods: readonly string[]): void {
  const problem = plainProblem(405, `${request.url.split('?')[0]} takes ${methods.join(', ')}, not ${request.method}`);
  sendProblem(REGISTRY_PATHS.test(request.url) ? { ...problem, code: 'UNSUPPORTED' } : problem, request, reply);
}

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply, lacking?: readonly LackingAccess[]): void {
  void reply.status(problem.status);
  if (REGISTRY_PATHS.test(request.url)) void reply.type('application/json').send(registryErrors(problem, lacking));
  else void reply.type('application/problem+json').send(problem);
}

/** What a status says when nothing more particular is known. */
const PLAIN_PROBLEMS: Readonly<Record<number, { readonly code: string; readonly title: string }>> = {
  400: { code: 'REQUEST_INVALID', title: 'The request is not valid' },
  401: { code: 'UNAUTHORIZED', title: 'Authentication required' },
  403: { code: 'DENIED', title: 'Not allowed' },
  404: { code: 'NOT_FOUND', title: 'Not found' },
  405: { code: 'METHOD_NOT_ALLOWED', title: 'Method not allowed' },
  409: { code: 'CONFLICT', title: 'Conflict with what is there' },
  413: { code: 'REQUEST_TOO_LARGE', title: 'The request is too large' },
  414: { code: 'URI_TOO_LONG', title: 'The URL is too long' },
  415: { code: 'CONTENT_TYPE_UNSUPPORTED', title: 'The content type is not supported' },
  422: { code: 'CONTENT_UNUSABLE', title: 'The content cannot be used' },
  429: { code: 'TOO_MANY_REQUESTS', title: 'Too many requests' },
  500: { code: 'INTERNAL_ERROR', title: 'Internal error' },
  502: { code: 'BAD_GATEWAY', title: 'A service behind this one answered wrongly' },
  503: { code: 'UNAVAILABLE', title: 'Not available now' },
};

function titleOf(status: number): string {
  return PLAIN_PROBLEMS[status]?.title ?? `Status ${status}`;
}

function plainProblem(status: number, detail: string): Problem {
  return { type: 'about:blank', title: titleOf(status), status, detail: detail.slice(0, 2000), code: PLAIN_PROBLEMS[status]?.code ?? `STATUS_${status}` };
}

function registryErrors({ code, detail: message, errors }: Problem, lacking: readonly LackingAccess[] | undefined): RegistryErrorsBody {
  const detail = errors ?? lacking;
  return { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] };
}
