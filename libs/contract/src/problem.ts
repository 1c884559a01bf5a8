import { z } from 'zod';

import { Code, Sentence } from './words.js';

/** Fields named in one problem; more are counted in its detail. */
export const FIELD_PROBLEMS_MAX = 20;
/** Characters of a value that is shown back. */
export const SHOWN_VALUE_LENGTH_MAX = 100;

/** One field of a request that breaks a rule. */
export const FieldProblem = z
  .object({
    field: z.string().max(300).meta({ description: 'Where: a JSON pointer (RFC 6901) into the body, or the name of a parameter after a slash.', examples: ['/layers/3'] }),
    value: z.string().max(SHOWN_VALUE_LENGTH_MAX).nullable().meta({ description: 'What was there, as JSON and shortened; null when nothing was.' }),
    rule: Sentence.meta({ description: 'What it has to be.', examples: ['must have at most 1000 entries'] }),
  })
  .meta({ description: 'A field, its value, and the rule that it breaks.' });

/** What went wrong (RFC 9457), served as `application/problem+json`. */
export const Problem = z
  .object({
    type: z.string().max(200).meta({ description: 'A URI of this kind of problem; about:blank when the status says it all.' }),
    title: z.string().max(200),
    status: z.int().min(400).max(599),
    detail: Sentence,
    code: Code,
    errors: z.array(FieldProblem).max(FIELD_PROBLEMS_MAX).optional(),
  })
  .meta({ description: 'What went wrong (RFC 9457).' });

/** See {@link FieldProblem}. */
export type FieldProblem = z.infer<typeof FieldProblem>;
/** See {@link Problem}. */
export type Problem = z.infer<typeof Problem>;

/** One issue of a zod error, or of the Standard Schema result that Nest's validation works on. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  readonly code?: string | undefined;
}

/**
 * The problem that answers an input which does not follow its schema: status 400, code `REQUEST_INVALID`, and for each broken rule the
 * field, what was there, and the rule. Bounded whatever the input is.
 */
export function problemFromIssues(error: { readonly issues: readonly SchemaIssue[] }, input: unknown): Problem {
  const errors: FieldProblem[] = [];
  let count = 0;
  for (const issue of error.issues) {
    for (const path of pathsOf(issue)) {
      count += 1;
      if (errors.length < FIELD_PROBLEMS_MAX) errors.push(fieldProblem(issue, path, input));
    }
  }
  const [first] = errors;
  const others = count > 1 ? `; ${count - 1} more` : '';
  return {
    type: 'about:blank',
    title: 'The request does not follow its schema',
    status: 400,
    detail: first === undefined ? 'the request is not valid' : `${first.field === '' ? 'the request' : first.field} ${first.rule}${others}`.slice(0, 2000),
    code: 'REQUEST_INVALID',
    errors,
  };
}

/** Where an issue lies; fields that are not known are one place each. */
function pathsOf(issue: SchemaIssue): PropertyKey[][] {
  const path = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment));
  if (issue.code !== 'unrecognized_keys') return [path];
  return (details(issue).keys ?? []).map((key) => [...path, key]);
}

function fieldProblem(issue: SchemaIssue, path: readonly PropertyKey[], input: unknown): FieldProblem {
  const value = valueAt(input, path);
  return { field: pointer(path), value: shown(value), rule: ruleOf(issue, value).slice(0, 2000) };
}

function pointer(path: readonly PropertyKey[]): string {
  const whole = path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return whole.length <= 300 ? whole : `${whole.slice(0, 299)}…`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[segment];
  }
  return value;
}

function shown(value: unknown): string | null {
  if (value === undefined) return null;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'function' || (typeof value === 'object' && value !== null)) return 'an object';
  // A prefix is enough, and a text may have megabytes.
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, SHOWN_VALUE_LENGTH_MAX)) : String(value as number | bigint | boolean | symbol | null);
  return text.length <= SHOWN_VALUE_LENGTH_MAX ? text : `${text.slice(0, SHOWN_VALUE_LENGTH_MAX - 1)}…`;
}

/** What the kinds of issues carry besides a message, as far as rules are made from it. */
interface IssueDetails {
  readonly keys?: readonly string[];
  readonly expected?: string;
  readonly origin?: string;
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly inclusive?: boolean;
  readonly values?: readonly unknown[];
  readonly options?: readonly unknown[];
  readonly divisor?: number | bigint;
}

function details(issue: SchemaIssue): IssueDetails {
  return issue as SchemaIssue & IssueDetails;
}

function ruleOf(issue: SchemaIssue, value: unknown): string {
  const { expected, values, options, divisor } = details(issue);
  switch (issue.code ?? 'custom') {
    case 'unrecognized_keys':
      return 'is not a known field';
    case 'invalid_type':
      return value === undefined ? 'is required' : `must be ${EXPECTED[expected ?? ''] ?? `of type ${expected}`}`;
    case 'too_small':
    case 'too_big':
      return boundRule(issue, details(issue));
    case 'invalid_value':
      return value === undefined ? 'is required' : `must be ${oneOf(values ?? [])}`;
    case 'invalid_union':
      return options === undefined ? 'has none of the forms that are allowed' : `must be ${oneOf(options)}`;
    case 'not_multiple_of':
      return `must be a multiple of ${divisor}`;
    default:
      // Formats and own checks say their rule themselves, where they are declared.
      return issue.message;
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a string', number: 'a number', int: 'a whole number', boolean: 'true or false', object: 'an object', array: 'a list', null: 'null',
};

function boundRule(issue: SchemaIssue, { origin, minimum, maximum, inclusive = true }: IssueDetails): string {
  const [bound, word] = issue.code === 'too_big' ? [maximum, 'at most'] : [minimum, 'at least'];
  const [one, many] = origin === 'string' ? ['character', 'characters'] : ['entry', 'entries'];
  if (origin === 'string' || origin === 'array' || origin === 'set') return `must have ${word} ${bound} ${Number(bound) === 1 ? one : many}`;
  if (inclusive) return `must be ${word} ${bound}`;
  return `must be ${issue.code === 'too_big' ? 'less' : 'more'} than ${bound}`;
}

function oneOf(values: readonly unknown[]): string {
  const named = values.slice(0, 40).map((value) => JSON.stringify(value));
  return named.length === 1 ? `${named[0]}` : `one of ${named.join(', ')}`;
}
