import { AzureFilesError } from '../azure-error.js';

/** What an operation acts on, in the letters of an account SAS: the service, a container (a share), an object (a file or folder). */
export type ResourceLevel = 's' | 'c' | 'o';

/** What an operation needs: any one of these permissions (`r` read, `w` write, `c` create, `d` delete, `l` list), at this level. */
export interface Requirement {
  readonly level: ResourceLevel;
  readonly anyOf: string;
  /** Offered to tokens alone: keys and signatures are refused. */
  readonly tokenOnly?: boolean;
}

/** Content headers that a signature asks an answer to carry instead of the file's own, by the header's name. */
export type HeaderOverrides = Readonly<Record<string, string>>;

/** What a request's credential allows. */
export type Grant =
  | { readonly kind: 'account-key' }
  | { readonly kind: 'token'; readonly permissions: string; readonly objectId: string; readonly tenantId: string }
  | { readonly kind: 'account-sas'; readonly permissions: string; readonly levels: string }
  | { readonly kind: 'service-sas'; readonly permissions: string; readonly resource: 's' | 'f'; readonly overrides: HeaderOverrides };

/** @throws {AzureFilesError} when `grant` does not cover `requirement`. */
export function checkGrant(grant: Grant, requirement: Requirement): void {
  if (requirement.tokenOnly === true && grant.kind !== 'token') {
    throw new AzureFilesError('AuthenticationFailed', { elements: { AuthenticationErrorDetail: 'Only authentication scheme Bearer is supported' } });
  }
  if (grant.kind === 'account-key') return;
  if (grant.kind === 'account-sas' && !grant.levels.includes(requirement.level)) throw new AzureFilesError('AuthorizationResourceTypeMismatch');
  if (grant.kind === 'service-sas' && !isWithinService(grant.resource, requirement)) throw new AzureFilesError('AuthorizationFailure');
  if (!allowsAny(grant, requirement.anyOf)) throw new AzureFilesError('AuthorizationPermissionMismatch');
}

/** True when `grant` has one of the permissions `letters`. */
export function allowsAny(grant: Grant, letters: string): boolean {
  return grant.kind === 'account-key' || letters.split('').some((letter) => grant.permissions.includes(letter));
}

/** A service SAS never reaches the share itself but for listing its folders; one for a file reaches that file only. */
function isWithinService(resource: 's' | 'f', { level, anyOf }: Requirement): boolean {
  return level === 'o' || (resource === 's' && level === 'c' && anyOf === 'l');
}
