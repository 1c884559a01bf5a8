import { randomUUID } from 'node:crypto';

import { Body, Delete, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import { Clock } from '#clock';
import { Id, PinCreation, PinEntry, PinPage, PinQuery, writeCursor } from '#contract';
import { formatReference, parseReference } from '#oci';
import { checkPin, isActive, type Pin, PinStore } from '#pins';
import { RegionMap } from '#regions';

import { callerOf } from '../http/callers.js';
import { Planning } from '../work/planning.js';
import { AdminApi, invalidField, markOf, notFound } from './admin-api.js';

const PinMark = z.object({ createdAt: z.iso.datetime(), id: z.string() });

/** Operators' rules that an image must be in given regions. */
@AdminApi('pins', 'pins')
export class PinsController {
  constructor(
    private readonly pins: PinStore,
    private readonly regions: RegionMap,
    private readonly planning: Planning,
    private readonly clock: Clock,
  ) {}

  @Post()
  @ApiOperation({ summary: 'Pin an image to regions', description: 'By tag the pin follows the tag; by digest it does not move. With an id of your own the request may be repeated.' })
  @ApiCreatedResponse({ standardSchema: PinEntry })
  async create(@Body({ schema: PinCreation }) body: PinCreation, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<PinEntry> {
    const unknown = body.regions.findIndex((region) => !this.regions.has(region));
    if (unknown >= 0) throw invalidField(`/regions/${unknown}`, body.regions[unknown], `must be a region of this deployment: ${this.regions.regions.map((region) => region.name).join(', ')}`);
    const now = this.clock.now();
    const { expiresAt, note, id = randomUUID(), reference, ...rest } = body;
    if (expiresAt !== undefined && new Date(expiresAt) <= now) throw invalidField('/expiresAt', expiresAt, 'must lie in the future');
    const wanted = checkPin({
      ...rest, id,
      reference: parseReference(reference),
      ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
      ...(note === undefined ? {} : { note }),
      createdAt: now,
      createdBy: callerOf(request).actor,
    });
    const { pin, created } = await this.pins.create(wanted);
    if (!created) reply.status(200);
    this.planning.planSoon('pin');
    return toEntry(pin, now);
  }

  @Get()
  @ApiOperation({ summary: 'Pins, the oldest first' })
  @ApiOkResponse({ standardSchema: PinPage })
  async list(@Query({ schema: PinQuery }) { cursor, limit, repository, region }: PinQuery): Promise<z.infer<typeof PinPage>> {
    const mark = markOf(cursor, PinMark);
    const query = {
      limit,
      ...(repository === undefined ? {} : { repository }),
      ...(region === undefined ? {} : { region }),
      ...(mark === undefined ? {} : { after: { createdAt: new Date(mark.createdAt), id: mark.id } }),
    };
    const { pins, next } = await this.pins.list(query);
    const now = this.clock.now();
    return { items: pins.map((pin) => toEntry(pin, now)), ...(next === undefined ? {} : { nextCursor: writeCursor({ createdAt: next.createdAt.toISOString(), id: next.id }) }) };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One pin' })
  @ApiOkResponse({ standardSchema: PinEntry })
  async get(@Param('id', { schema: Id }) id: string): Promise<PinEntry> {
    const pin = await this.pins.get(id);
    if (pin === undefined) throw notFound(`the pin ${id}`);
    return toEntry(pin, this.clock.now());
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ summary: 'Delete a pin', description: 'What nothing else wants in its regions drains.' })
  @ApiNoContentResponse()
  async delete(@Param('id', { schema: Id }) id: string): Promise<void> {
    if (!(await this.pins.delete(id))) throw notFound(`the pin ${id}`);
    this.planning.planSoon('pin');
  }
}

function toEntry(pin: Pin, now: Date): PinEntry {
  const { id, repository, reference, regions, priority, expiresAt, note, createdAt, createdBy } = pin;
  return {
    id, repository, priority, createdBy,
    reference: formatReference(reference),
    regions: [...regions],
    active: isActive(pin, now),
    createdAt: createdAt.toISOString(),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
    ...(note === undefined ? {} : { note }),
  };
}
