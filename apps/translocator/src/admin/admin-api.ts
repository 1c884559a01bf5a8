import { applyDecorators, Controller, UseGuards, UseInterceptors } from '@nestjs/common';
import { ApiBearerAuth, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';

import { Problem, readCursor, writeCursor } from '#contract';

import { TrailInterceptor } from '../access/trail.interceptor.js';
import { BearerGuard } from '../http/bearer.guard.js';
import { HttpProblem } from '../http/http-problem.js';

/** A controller of the admin API: below /api/v1, for bearers of the admin token or of a service token for it; what changes something is written to the trail. */
export function AdminApi(path: string, tag: string): ClassDecorator {
  return applyDecorators(
    Controller(`api/v1/${path}`),
    UseGuards(BearerGuard('admin')),
    UseInterceptors(TrailInterceptor),
    ApiTags(tag),
    ApiBearerAuth(),
    ApiResponse({ status: 400, description: 'A field breaks its rule.', standardSchema: Problem }),
    ApiResponse({ status: 401, description: 'No token that opens the admin API was shown.', standardSchema: Problem }),
    ApiResponse({ status: 403, description: 'The token is good, and not for this.', standardSchema: Problem }),
    ApiResponse({ status: 429, description: 'Too many failed authentications from this address.', standardSchema: Problem }),
  );
}

/** The mark in a cursor, or undefined for the first page. @throws {HttpProblem} for a cursor that this list never gave. */
export function markOf<Mark extends z.ZodType>(cursor: string | undefined, mark: Mark): z.infer<Mark> | undefined {
  if (cursor === undefined) return undefined;
  const read = readCursor(cursor, mark);
  if (read !== undefined) return read;
  throw new HttpProblem(400, {
    code: 'REQUEST_INVALID',
    title: 'The request does not follow its schema',
    detail: '/cursor must be a nextCursor of this list',
    errors: [{ field: '/cursor', value: JSON.stringify(cursor.slice(0, 60)), rule: 'must be a nextCursor of this list' }],
  });
}

/** A page of a list that was read with one row more than asked for: that row only tells that there is more. */
export function pageFrom<Row, Entry>(rows: readonly Row[], limit: number, turn: { readonly entry: (row: Row) => Entry; readonly mark: (row: Row) => unknown }): { items: Entry[]; nextCursor?: string } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items: shown.map(turn.entry), ...(more ? { nextCursor: writeCursor(turn.mark(last)) } : {}) };
}

/** `part` of `whole` in percent, with one digit behind the point; 100 of nothing. */
export function percentOf(part: number, whole: number): number {
  return whole === 0 ? 100 : Math.min(100, Math.round((part / whole) * 1000) / 10);
}

/** A 404 for a thing that the path names. */
export function notFound(what: string): HttpProblem {
  return new HttpProblem(404, { code: 'NOT_FOUND', title: 'Not found', detail: `${what} is not known` });
}

/** A 400 for a field that follows its schema and yet cannot be. */
export function invalidField(field: string, value: unknown, rule: string): HttpProblem {
  const shown = (JSON.stringify(value) ?? 'null').slice(0, 100);
  return new HttpProblem(400, { code: 'REQUEST_INVALID', title: 'The request does not follow its schema', detail: `${field} ${rule}`, errors: [{ field, value: shown, rule }] });
}
