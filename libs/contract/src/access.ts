import { z } from 'zod';

import { pageOf, pageParameters } from './page.js';
import { Id, Instant, RegionText, REGIONS_MAX } from './words.js';

/** What a service token may be for. */
export const TOKEN_SCOPES = ['lookup', 'rewrite', 'leases', 'notify', 'admin:read', 'admin:write'] as const;
/** Patterns of repositories in one token. */
const PATTERNS_MAX = 100;

const Scopes = z.array(z.enum(TOKEN_SCOPES)).min(1).max(TOKEN_SCOPES.length).meta({ description: 'What the token is for; admin:write includes admin:read.' });
const Name = z.string().min(1).max(200).meta({ description: 'For people.' });
const Pattern = z
  .string()
  .max(256)
  .regex(/^(?:\*|[a-z0-9][a-z0-9._/-]*\*?)$/, { error: 'must be a repository name, or the beginning of one followed by *' })
  .meta({ description: 'A repository name, or the beginning of one followed by *.', examples: ['team/*'] });
const limits = {
  repositories: z.array(Pattern).min(1).max(PATTERNS_MAX).optional().meta({ description: 'Repositories that it may ask about; without it, all.' }),
  regions: z.array(RegionText).min(1).max(REGIONS_MAX).optional().meta({ description: 'Regions that it may ask for; without it, all.' }),
};

/** Makes a service token. */
export const TokenCreation = z
  .strictObject({ name: Name, scopes: Scopes, ...limits, expiresAt: Instant.optional().meta({ description: 'At most 366 days from now; without it, 90 days from now.' }) })
  .meta({ description: 'What a service token is to be.' });

/** A service token, without its secret. */
export const TokenEntry = z
  .object({
    id: Id,
    name: Name,
    scopes: Scopes,
    ...limits,
    active: z.boolean().meta({ description: 'False once it has expired or was revoked.' }),
    createdAt: Instant,
    createdBy: z.string().max(200),
    expiresAt: Instant,
    revokedAt: Instant.optional(),
    lastUsedAt: Instant.optional().meta({ description: 'About when it was last let in, exact to some minutes.' }),
  })
  .meta({ description: 'A service token.' });

/** A service token that was just made. */
export const TokenCreated = TokenEntry.extend({ secret: z.string().max(200).meta({ description: 'To be shown as Authorization: Bearer. It is in this answer and nowhere else.' }) });

/** Some tokens, the oldest first. */
export const TokenPage = pageOf(TokenEntry);

/** One call that changed something, or tried to. */
export const TrailEntryBody = z
  .object({
    id: Id,
    at: Instant,
    actor: z.string().max(300).meta({ description: 'admin, token:<id> or certificate:<subject>.' }),
    actorName: z.string().max(300).meta({ description: 'The actor\'s name as it was then.' }),
    address: z.string().max(100).meta({ description: 'From where.' }),
    method: z.string().max(10),
    path: z.string().max(500),
    body: z.string().max(2000).optional().meta({ description: 'The beginning of the request\'s body, as JSON.' }),
    status: z.int().min(100).max(599).optional().meta({ description: 'The status that ended the call; absent while it runs, and where the process ended in the middle of it.' }),
  })
  .meta({ description: 'A call that changed something, or tried to.' });

/** Which calls to list. Filters narrow together. */
export const TrailListQuery = z.strictObject({ ...pageParameters, actor: z.string().min(1).max(300).optional(), from: Instant.optional(), until: Instant.optional() });
/** Some calls, the newest first. */
export const TrailPage = pageOf(TrailEntryBody);

/** See {@link TokenCreation}. */
export type TokenCreation = z.infer<typeof TokenCreation>;
/** See {@link TokenEntry}. */
export type TokenEntry = z.infer<typeof TokenEntry>;
/** See {@link TokenCreated}. */
export type TokenCreated = z.infer<typeof TokenCreated>;
/** See {@link TrailEntryBody}. */
export type TrailEntryBody = z.infer<typeof TrailEntryBody>;
/** See {@link TrailListQuery}. */
export type TrailListQuery = z.infer<typeof TrailListQuery>;
