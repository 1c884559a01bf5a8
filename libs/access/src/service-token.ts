import { isRepositoryPattern } from '#oci';
import { isRegionName, type RegionName } from '#regions';
import { DAY_MS } from '#quantities';

import { AccessError } from './access-error.js';
import { ACCESS_SCOPES, type AccessScope } from './access-scope.js';

/** What a program other than a node shows to be let in. Immutable but for its end and its use; its secret is not in it, and is kept nowhere. */
export interface ServiceToken {
  /** A UUID in lower case; part of the secret text, and no secret itself. */
  readonly id: string;
  /** For people; need not be unique. */
  readonly name: string;
  /** At least one, each once, in the order of {@link ACCESS_SCOPES}. */
  readonly scopes: readonly AccessScope[];
  /** Repositories that it may ask about: names, or beginnings followed by `*`. Absent: all. */
  readonly repositories?: readonly string[];
  /** Regions that it may ask for. Absent: all. */
  readonly regions?: readonly RegionName[];
  readonly createdAt: Date;
  /** Who made it, as the admin API knows its caller. */
  readonly createdBy: string;
  /** It holds before this instant, and no longer at it. */
  readonly expiresAt: Date;
  /** It was revoked then, and opens nothing since. */
  readonly revokedAt?: Date;
  /** About when it was last let in: exact to some minutes, and never too late. */
  readonly lastUsedAt?: Date;
}

/** The longest life of a token: whoever needs one for longer has it replaced in time. */
export const TOKEN_LIFE_MAX_MS = 366 * DAY_MS;
/** Characters of a token's name, and of its maker's. */
export const TOKEN_NAME_LENGTH_MAX = 200;
/** Patterns of repositories in one token. */
export const TOKEN_REPOSITORIES_MAX = 100;
/** Regions in one token: more than any cloud has. */
export const TOKEN_REGIONS_MAX = 200;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True when `text` can be a token's id. */
export function isTokenId(text: string): boolean {
  return UUID.test(text);
}

/**
 * Checks every field of a token that is to be made, and puts its lists in order, each entry once.
 * @throws {AccessError} `TOKEN_INVALID` for the first field that breaks its rule. Whether the regions exist is the caller's to check.
 */
export function checkServiceToken(token: ServiceToken): ServiceToken {
  const { repositories, regions, scopes } = token;
  const lifeMs = token.expiresAt.getTime() - token.createdAt.getTime();
  const rules: readonly (readonly [keyof ServiceToken, boolean, string])[] = [
    ['id', isTokenId(token.id), 'must be a UUID in lower case'],
    ['name', isText(token.name), `must have 1 to ${TOKEN_NAME_LENGTH_MAX} characters`],
    ['createdBy', isText(token.createdBy), `must have 1 to ${TOKEN_NAME_LENGTH_MAX} characters`],
    ['scopes', scopes.length > 0 && scopes.every((scope) => ACCESS_SCOPES.includes(scope)), `must hold some of ${ACCESS_SCOPES.join(', ')}`],
    ['repositories', repositories === undefined || isListOf(repositories, TOKEN_REPOSITORIES_MAX, isRepositoryPattern), `must hold 1 to ${TOKEN_REPOSITORIES_MAX} repository names, or beginnings of them followed by *`],
    ['regions', regions === undefined || isListOf(regions, TOKEN_REGIONS_MAX, isRegionName), `must hold 1 to ${TOKEN_REGIONS_MAX} region names`],
    ['expiresAt', lifeMs > 0 && lifeMs <= TOKEN_LIFE_MAX_MS, `must be later than the creation, by ${TOKEN_LIFE_MAX_MS / DAY_MS} days at most`],
  ];
  const broken = rules.find(([, holds]) => !holds);
  if (broken !== undefined) {
    const [field, , rule] = broken;
    throw new AccessError('TOKEN_INVALID', `token: ${field} ${rule}`, { details: { field, rule } });
  }
  return {
    ...token,
    scopes: ACCESS_SCOPES.filter((scope) => scopes.includes(scope)),
    ...(repositories === undefined ? {} : { repositories: [...new Set(repositories)].toSorted() }),
    ...(regions === undefined ? {} : { regions: [...new Set(regions)].toSorted() }),
  };
}

function isText(text: string): boolean {
  return text.length > 0 && text.length <= TOKEN_NAME_LENGTH_MAX;
}

function isListOf(list: readonly string[], max: number, holds: (text: string) => boolean): boolean {
  return list.length > 0 && list.length <= max && list.every(holds);
}
