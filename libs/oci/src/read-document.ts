import type { z } from 'zod';

import { OciError, type OciErrorCode } from './oci-error.js';

/** What a document is called in messages, how long it may be, and the code of everything that is wrong with it. */
export interface DocumentKind {
  readonly name: string;
  readonly code: OciErrorCode;
  readonly bytesMax: number;
}

/**
 * Reads JSON of a known kind through a schema.
 * @throws {OciError} `kind.code` when it is too long, not UTF-8, not JSON, or not of the schema; the first problem is named with its path.
 */
export function readDocument<Schema extends z.ZodType>(bytes: Uint8Array, kind: DocumentKind, schema: Schema): z.output<Schema> {
  if (bytes.byteLength > kind.bytesMax) {
    throw new OciError(kind.code, `the ${kind.name} is ${bytes.byteLength} bytes long, more than ${kind.bytesMax}`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new OciError(kind.code, `the ${kind.name} is not JSON`, { cause });
  }
  const result = schema.safeParse(parsed);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new OciError(kind.code, `the ${kind.name} is not valid${path}: ${issue?.message ?? 'unknown problem'}`.slice(0, 500));
}
