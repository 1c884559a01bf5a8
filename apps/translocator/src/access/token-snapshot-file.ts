import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { z } from 'zod';

import { ACCESS_SCOPES, checkServiceToken, type SavedTokens, SERVICE_TOKENS_MAX, TokenSnapshot } from '#access';

const Instant = z.iso.datetime().transform((text) => new Date(text));
const Names = z.array(z.string().max(256)).max(200).optional();
const Saved = z.object({
  version: z.literal(1),
  origin: z.string(),
  at: Instant,
  tokens: z
    .array(
      z.object({
        secretHash: z.string().regex(/^[0-9a-f]{64}$/),
        token: z.object({
          id: z.string(), name: z.string(), scopes: z.array(z.enum(ACCESS_SCOPES)), repositories: Names, regions: Names, createdAt: Instant, createdBy: z.string(), expiresAt: Instant,
        }),
      }),
    )
    // Creations at the same instant may exceed the limit by their number.
    .max(2 * SERVICE_TOKENS_MAX),
});

/** Tokens in a file that only its owner may read, beside the snapshot of the map. Written beside its place and renamed. */
export class TokenSnapshotFile extends TokenSnapshot {
  readonly #path: string;
  readonly #origin: string;

  /** `origin` names the deployment and its database: tokens of another one are not used. */
  constructor(path: string, origin: string) {
    super();
    this.#path = path;
    this.#origin = origin;
  }

  async save({ tokens, at }: SavedTokens): Promise<void> {
    const text = JSON.stringify({ version: 1, origin: this.#origin, at, tokens: tokens.map(({ token, secretHash }) => ({ token, secretHash: Buffer.from(secretHash).toString('hex') })) });
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(`${this.#path}.new`, text, { mode: 0o600, flush: true });
    await rename(`${this.#path}.new`, this.#path);
  }

  async load(): Promise<SavedTokens | undefined> {
    try {
      const { origin, at, tokens } = Saved.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      if (origin !== this.#origin) return undefined;
      return { at, tokens: tokens.map(({ token: { repositories, regions, ...rest }, secretHash }) => ({
        token: checkServiceToken({ ...rest, ...(repositories === undefined ? {} : { repositories }), ...(regions === undefined ? {} : { regions }) }),
        secretHash: Buffer.from(secretHash, 'hex'),
      })) };
    } catch {
      // None yet, or not as it was written: then the tokens of the environment have to do.
      return undefined;
    }
  }
}
