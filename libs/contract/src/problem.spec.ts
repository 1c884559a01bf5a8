import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { LookupBody, RewriteBody } from './mount.js';
import { PageQuery } from './page.js';
import { PinCreation } from './pins.js';
import { FIELD_PROBLEMS_MAX, Problem, problemFromIssues } from './problem.js';

function problemOf(schema: z.ZodType, input: unknown): Problem {
  const parsed = schema.safeParse(input);
  if (parsed.success) throw new Error('the input is valid');
  return problemFromIssues(parsed.error, input);
}

const PIN = { repository: 'team/app', reference: 'v1', regions: ['eastus'] };

describe('problemFromIssues', () => {
  it('names the field, what was there, and the rule', () => {
    const input = { repository: 'Team/App', reference: 'v1', regions: [], priority: 101, expiresAt: 'tomorrow', colour: 'red' };
    expect(problemOf(PinCreation, input)).toMatchInlineSnapshot(`
      {
        "code": "REQUEST_INVALID",
        "detail": "/repository must be lower-case path components joined by '/', such as team/app; 4 more",
        "errors": [
          {
            "field": "/repository",
            "rule": "must be lower-case path components joined by '/', such as team/app",
            "value": ""Team/App"",
          },
          {
            "field": "/regions",
            "rule": "must have at least 1 entry",
            "value": "a list of 0",
          },
          {
            "field": "/expiresAt",
            "rule": "must be an instant in UTC, such as 2026-03-01T12:00:00.000Z",
            "value": ""tomorrow"",
          },
          {
            "field": "/priority",
            "rule": "must be at most 100",
            "value": "101",
          },
          {
            "field": "/colour",
            "rule": "is not a known field",
            "value": ""red"",
          },
        ],
        "status": 400,
        "title": "The request does not follow its schema",
        "type": "about:blank",
      }
    `);
  });

  it.each<[string, z.ZodType, unknown, unknown]>([
    ['a field that is missing', PinCreation, { ...PIN, repository: undefined }, { field: '/repository', value: null, rule: 'is required' }],
    ['another type', PinCreation, { ...PIN, regions: 'eastus' }, { field: '/regions', value: '"eastus"', rule: 'must be a list' }],
    ['an entry of a list', PinCreation, { ...PIN, regions: ['eastus', 7] }, { field: '/regions/1', value: '7', rule: 'must be a string' }],
    ['a fraction', PinCreation, { ...PIN, priority: 1.5 }, { field: '/priority', value: '1.5', rule: 'must be a whole number' }],
    ['a number below its bound', PageQuery, { limit: '0' }, { field: '/limit', value: '"0"', rule: 'must be at least 1' }],
    ['a value that is not in its list', LookupBody, { repository: 'a', manifest: `sha256:${'0'.repeat(64)}`, layers: [], transports: ['ftp'] },
      { field: '/transports/0', value: '"ftp"', rule: 'must be one of "smb", "nfs", "https", "file"' }],
    ['no object at all', PinCreation, null, { field: '', value: 'null', rule: 'must be an object' }],
    ['no body at all', PinCreation, undefined, { field: '', value: null, rule: 'is required' }],
    ['a name with a slash', PinCreation, { ...PIN, 'a/b~c': 1 }, { field: '/a~1b~0c', value: '1', rule: 'is not a known field' }],
    ['a name of the prototype', PinCreation, { ...PIN, constructor: {} }, { field: '/constructor', value: 'an object', rule: 'is not a known field' }],
  ])('describes %s', (_what, schema, input, expected) => {
    expect(problemOf(schema, input).errors).toEqual([expected]);
  });

  it('says what kinds there are when a kind is unknown', () => {
    const response = { schemaVersion: 1, repository: 'a', digest: `sha256:${'0'.repeat(64)}`, region: null, asOf: null, layers: [{ kind: 'rope' }] };
    expect(problemOf(RewriteBody, { response }).errors).toEqual([{ field: '/response/layers/0/kind', value: '"rope"', rule: 'must be one of "mount", "blob"' }]);
  });

  it('shows little of a value, however long', () => {
    const [error] = problemOf(PinCreation, { ...PIN, reference: 'x'.repeat(1_000_000) }).errors ?? [];
    expect(error?.value).toHaveLength(100);
    expect(error?.rule).toBe('must have at most 128 characters');
  });

  it('names only so many fields and counts the rest', () => {
    const problem = problemOf(PinCreation, { ...PIN, ...Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`field${index}`, 1])) });
    expect(problem.errors).toHaveLength(FIELD_PROBLEMS_MAX);
    expect(problem.detail).toBe('/field0 is not a known field; 499 more');
  });

  it('is itself within the contract, whatever the input is', () => {
    fc.assert(fc.property(fc.constantFrom(PinCreation, LookupBody, RewriteBody, PageQuery), fc.anything(), (schema, input) => {
      const parsed = schema.safeParse(input);
      if (!parsed.success) expect(Problem.safeParse(problemFromIssues(parsed.error, input)).error).toBeUndefined();
    }));
  });
});
