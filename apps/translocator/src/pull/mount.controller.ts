import { Controller, Get, Head, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { MountAnswerBody, RegistryErrorsBody } from '#contract';
import { Lookup, type PullOutcome, type PullRequest, type Transport, TRANSPORTS } from '#mounts';
import { parsePlatform, parseReference, parseRepositoryName } from '#oci';
import { Metrics } from '#telemetry';

import { ClientView } from '../http/client-view.js';
import { authenticationRequired, HttpProblem } from '../http/http-problem.js';
import { tooManyFailures } from '../http/service-gate.js';
import { PullAuthority } from './pull-authority.js';
import { clientOf, countAnswer, NODE_NAME_LENGTH_MAX } from './pull-telemetry.js';

/** The path below /mount/v1/: a repository, which may have slashes, and a reference. */
const MANIFEST_PATH = /^(?<repository>.+)\/_manifests\/(?<reference>[^/]+)$/;

/** What nodes ask when they pull: the published interface of Project Teleport, with an answer of our own. */
@ApiTags('pull')
@Controller('mount/v1')
export class MountController {
  constructor(
    private readonly lookup: Lookup,
    private readonly authority: PullAuthority,
    private readonly metrics: Metrics,
    private readonly view: ClientView,
  ) {}

  // Before the GET, of which Fastify would otherwise make a HEAD that is observed and leased.
  @Head('*')
  @ApiOperation({ summary: 'Whether an image can be mounted', description: 'As GET, without a body: neither observed nor leased.' })
  @ApiParam({ name: 'path', description: '{repository}/_manifests/{reference}', example: 'team/app/_manifests/1.0' })
  head(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#answer(request, reply, false);
  }

  @Get('*')
  @ApiOperation({ summary: 'Mounts and blobs of an image', description: 'The path is {repository}/_manifests/{tag or digest}. Each layer is answered as a mount or as a blob with a reason.' })
  @ApiParam({ name: 'path', description: '{repository}/_manifests/{reference}', example: 'team/app/_manifests/1.0' })
  @ApiHeader({ name: 'X-Teleport-Region', description: 'Where the pull comes from; without it, or with one that is not known, every layer is a blob.' })
  @ApiHeader({ name: 'X-Teleport-Enabled', description: 'False for a caller that cannot mount: it is never asked to wait, and every layer is a blob.' })
  @ApiHeader({ name: 'X-Teleport-Transports', description: `What the caller can mount by: some of ${TRANSPORTS.join(', ')}.` })
  @ApiHeader({ name: 'X-Teleport-Node', description: `Names the node, in at most ${NODE_NAME_LENGTH_MAX} characters, so that its repeated pulls count once; without it its address and user agent do.` })
  @ApiOkResponse({ standardSchema: MountAnswerBody })
  @ApiResponse({ status: 409, description: 'Nothing of the image is expanded yet, and its layers have been wanted for less than ten minutes; ask again after Retry-After. Not for callers in an unknown region or without a transport.', standardSchema: RegistryErrorsBody })
  get(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#answer(request, reply, true);
  }

  async #answer(request: FastifyRequest, reply: FastifyReply, pulls: boolean): Promise<void> {
    const startedAt = performance.now();
    const pull = pullRequest(request);
    this.view.refuseOthers(request);
    const right = await this.authority.rightTo(pull.repository, pull.reference, request.headers.authorization, request.ip);
    if (right === 'denied') this.#refuse('denied', new HttpProblem(403, { code: 'DENIED', title: 'Not allowed', detail: `this token may not pull ${pull.repository}` }));
    if (right === 'unknown') this.#refuse('unknown', unknownManifest(pull));
    if (typeof right === 'object' && 'waitMs' in right) this.#refuse('denied', tooManyFailures(right.waitMs));
    if (typeof right === 'object' && 'insufficient' in right) {
      const headers = { 'www-authenticate': this.view.challengeFor(request, right.challenge) };
      this.#refuse('denied', new HttpProblem(403, { code: 'DENIED', title: 'Not allowed', detail: `this token is not for pulling ${pull.repository}`, headers }));
    }
    if (typeof right === 'object') {
      this.#refuse('denied', authenticationRequired(pull.repository, ['pull'], this.view.challengeFor(request, right.challenge)));
    }
    const asked = right === 'unavailable' ? { ...pull, onlyBlobs: 'AUTHORIZATION_UNAVAILABLE' as const } : pull;
    const outcome = this.lookup.pull(asked, { client: clientOf(request), pulls });
    this.#reply(reply, pull, outcome);
    this.metrics.lookupSeconds.observe((performance.now() - startedAt) / 1000);
  }

  #reply(reply: FastifyReply, pull: PullRequest, outcome: PullOutcome): void {
    switch (outcome.kind) {
      case 'answer':
        countAnswer(this.metrics, outcome.answer);
        void reply.header('cache-control', 'no-store').send(outcome.answer);
        return;
      case 'expanding': {
        const headers = { 'retry-after': String(Math.max(1, Math.ceil(outcome.retryAfterMs / 1000))) };
        this.metrics.lookups.inc({ outcome: 'expanding' });
        const detail = { ...outcome.progress, since: outcome.progress.since.toISOString() };
        void reply.status(409).headers(headers).send({ errors: [{ code: 'EXPANDING', message: 'the layers of this image are being expanded', detail }] });
        return;
      }
      case 'map-not-loaded':
        // Empty, so that clients of registries go on to the registry itself.
        this.metrics.lookups.inc({ outcome: 'not_loaded' });
        void reply.status(503).header('retry-after', '1').send();
        return;
      case 'repository-unknown':
      case 'repository-disabled':
        this.#refuse('not_enabled', new HttpProblem(404, { code: 'NAME_UNKNOWN', title: 'Not found', detail: `${pull.repository} is not enabled` }));
        break;
      case 'image-unknown':
        this.#refuse('unknown', unknownManifest(pull));
    }
  }

  #refuse(outcome: string, problem: HttpProblem): never {
    this.metrics.lookups.inc({ outcome });
    throw problem;
  }
}

function unknownManifest(pull: PullRequest): HttpProblem {
  const reference = pull.reference.kind === 'tag' ? `:${pull.reference.tag}` : `@${pull.reference.digest}`;
  return new HttpProblem(404, { code: 'MANIFEST_UNKNOWN', title: 'Not found', detail: `${pull.repository}${reference} is not known` });
}

/** @throws {OciError} for names that are none; {HttpProblem} for another path. */
function pullRequest(request: FastifyRequest): PullRequest {
  const path = (request.params as Record<string, string>)['*'] ?? '';
  const { repository, reference } = MANIFEST_PATH.exec(path)?.groups ?? {};
  if (repository === undefined || reference === undefined) {
    throw new HttpProblem(404, { code: 'NOT_FOUND', title: 'Not found', detail: 'the path must be /mount/v1/{repository}/_manifests/{reference}' });
  }
  const { platform } = request.query as Record<string, unknown>;
  if (platform !== undefined && typeof platform !== 'string') throw new HttpProblem(400, { code: 'PLATFORM_INVALID', title: 'The request is not valid', detail: 'platform may be there once' });
  const transports = transportsOf(header(request, 'x-teleport-transports'));
  return {
    repository: parseRepositoryName(repository),
    reference: parseReference(reference),
    region: header(request, 'x-teleport-region'),
    address: request.ip,
    ...(transports === undefined ? {} : { transports }),
    ...(platform !== undefined ? { platform: parsePlatform(platform) } : {}),
    // A caller that says it cannot teleport is told where the blobs are.
    ...(header(request, 'x-teleport-enabled')?.toLowerCase() === 'false' ? { transports: [] } : {}),
  };
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value.trim() : undefined;
}

/** Unknown names are passed over: a client of tomorrow may know more transports than this service. */
function transportsOf(text: string | undefined): Transport[] | undefined {
  if (text === undefined) return undefined;
  const named = new Set(text.split(',').map((each) => each.trim().toLowerCase()));
  return TRANSPORTS.filter((transport) => named.has(transport));
}
