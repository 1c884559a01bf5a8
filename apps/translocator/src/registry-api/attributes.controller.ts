import { Body, Controller, Get, Patch, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import { Clock } from '#clock';
import { AttributesChange, ChangeableAttributes, RepositoryAttributes } from '#contract';
import { parseRepositoryName } from '#oci';
import { type HeaderFields, ImageStore, RegistryRelay, RepositoryStore, requestHeadersToPass } from '#registry';

import { TrailKeeper } from '../access/trail-keeper.js';
import { noteCaller } from '../http/callers.js';
import { ClientView } from '../http/client-view.js';
import { HttpProblem } from '../http/http-problem.js';
import { WorkSignals } from '../work/work-signals.js';
import { countRepository } from './repository-facts.js';
import { type Asker, refusal, RepositoryRights, type WholeAnswer } from './repository-rights.js';

/** What a caller of the registry is in the trail: the registry knows who it is, and does not tell. */
const ACTOR = { actor: 'registry', name: 'somebody who may push there', scopes: [] };
/** Statuses of a registry that has no such interface. */
const NO_SUCH_INTERFACE = new Set([404, 405, 501]);
/** Of the caller's headers, what describes a body that is not passed on. */
const OF_THE_BODY = ['content-length', 'content-type', 'content-encoding'];

/** A repository's attributes, by the data plane of Azure Container Registry: teleportEnabled is kept here, the others by the registry. */
@ApiTags('pull')
@Controller('acr/v1')
export class AttributesController {
  // Nest injects them by position.
  constructor(
    private readonly relay: RegistryRelay,
    private readonly rights: RepositoryRights,
    private readonly view: ClientView,
    private readonly repositories: RepositoryStore,
    private readonly images: ImageStore,
    private readonly trail: TrailKeeper,
    private readonly signals: WorkSignals,
    private readonly clock: Clock,
  ) {}

  @Get('*')
  @ApiOperation({ summary: 'The attributes of a repository', description: 'For who may pull from it, as the registry says.' })
  @ApiParam({ name: 'path', description: 'The name of the repository, slashes as they are.', example: 'team/app' })
  @ApiOkResponse({ standardSchema: RepositoryAttributes })
  async get(@Req() request: FastifyRequest): Promise<RepositoryAttributes> {
    this.view.refuseOthers(request);
    return this.#read(nameOf(request), this.#askerOf(request), request);
  }

  @Patch('*')
  @ApiOperation({ summary: 'Change attributes of a repository', description: 'For who may push to it, as the registry says. Attributes other than teleportEnabled are passed on to a registry that has them, and refused otherwise.' })
  @ApiParam({ name: 'path', description: 'The name of the repository, slashes as they are.', example: 'team/app' })
  @ApiOkResponse({ standardSchema: RepositoryAttributes })
  async change(@Req() request: FastifyRequest, @Body({ schema: AttributesChange }) { teleportEnabled, ...others }: AttributesChange): Promise<RepositoryAttributes> {
    const name = nameOf(request);
    this.view.refuseOthers(request);
    const asker = this.#askerOf(request);
    await this.rights.mayChange(name, asker);
    noteCaller(request, ACTOR);
    await this.trail.begin(request);
    if (Object.keys(others).length > 0) await this.#passOn(name, others, asker);
    if (teleportEnabled === true) {
      await this.repositories.enable(name, this.clock.now());
      this.signals.examinationsWanted();
    } else if (teleportEnabled === false) {
      await this.repositories.disable(name, this.clock.now());
    }
    return this.#read(name, asker, request);
  }

  async #passOn(name: string, others: Omit<AttributesChange, 'teleportEnabled'>, asker: Asker): Promise<void> {
    const body = Buffer.from(JSON.stringify(others));
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
    const answer = await this.rights.ask({ method: 'PATCH', path: `/acr/v1/${name}`, headers, body }, asker);
    if (answer.status === 200) return;
    // That the registry has the repository is known by now.
    if (!NO_SUCH_INTERFACE.has(answer.status)) throw refusal(answer, name, asker);
    const named = Object.keys(others).join(', ');
    throw new HttpProblem(422, { code: 'UNSUPPORTED', title: 'Not supported', detail: `the registry has no attributes of repositories: ${named} cannot be set, only teleportEnabled` });
  }

  async #read(name: string, asker: Asker, request: FastifyRequest): Promise<RepositoryAttributes> {
    const answer = await this.rights.ask({ method: 'GET', path: `/acr/v1/${name}` }, asker);
    const teleportEnabled = async (): Promise<boolean> => (await this.repositories.get(name))?.enabled ?? false;
    const attributes = attributesIn(answer);
    if (attributes !== undefined) {
      const changeable = attributes['changeableAttributes'] as Record<string, unknown>;
      return { ...attributes, changeableAttributes: { ...changeable, teleportEnabled: await teleportEnabled() } } as RepositoryAttributes;
    }
    if (!NO_SUCH_INTERFACE.has(answer.status)) throw refusal(answer, name, asker);
    await this.rights.mayPull(name, asker);
    const { manifestCount, tagCount, oldestAt, newestAt } = await countRepository(this.images, name);
    return {
      registry: this.view.callerOf(request).host,
      imageName: name,
      ...(oldestAt === undefined ? {} : { createdTime: oldestAt.toISOString() }),
      ...(newestAt === undefined ? {} : { lastUpdateTime: newestAt.toISOString() }),
      manifestCount,
      tagCount,
      changeableAttributes: { deleteEnabled: true, writeEnabled: true, readEnabled: true, listEnabled: true, teleportEnabled: await teleportEnabled() },
    };
  }

  #askerOf(request: FastifyRequest): Asker {
    const passed = requestHeadersToPass(request.headers, this.view.callerOf(request));
    const headers: HeaderFields = Object.fromEntries(Object.entries(passed).filter(([name]) => !OF_THE_BODY.includes(name)));
    // Read here, not passed through.
    return { headers: { ...headers, 'accept-encoding': 'identity' }, challenge: (text) => this.view.challengeFor(request, text) };
  }
}

function attributesIn({ status, json }: WholeAnswer): Readonly<Record<string, unknown>> | undefined {
  if (status !== 200 || json === undefined) return undefined;
  return ChangeableAttributes.omit({ teleportEnabled: true }).partial().loose().safeParse(json['changeableAttributes']).success ? json : undefined;
}

/** @throws {OciError} for a name that is none. */
function nameOf(request: FastifyRequest): string {
  return parseRepositoryName((request.params as Record<string, string>)['*'] ?? '');
}
