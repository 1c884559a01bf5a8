import { AzureFilesError } from '../azure-error.js';

/** What an operation acts on, in the letters of an account SAS: the service, a container (a share), an object (a file or folder). */
export type ResourceLevel = 's' | 'c' | 'o';

/** What an operation needs: any one of these permissions (`r` read, `w` write, `c` create, `d` delete, `l` list), at this level. */
export interface Requirement {
  readonly level: ResourceLevel;
  readonly anyOf: string;
}

/** What a request's credential allows. */
export type Grant =
  | { readonly kind: 'account-key' }
  | { readonly kind: 'account-sas'; readonly permissions: string; readonly levels: string }
  | { readonly kind: 'service-sas'; readonly permissions: string; readonly resource: 's' | 'f' };

/** @throws {AzureFilesError} when `grant` does not cover `requirement`. */
export function checkGrant(grant: Grant, requirement: Requirement): void {
  if (grant.kind === 'account-key') return;
  if (grant.kind === 'account-sas' && !grant.levels.includes(requirement.level)) throw new AzureFilesError('AuthorizationResourceTypeMismatch');
  if (grant.kind === 'service-sas' && !isWithinService(grant.resource, requirement)) throw new AzureFilesError('AuthorizationFailure');
  const allowed = requirement.anyOf.split('').some((letter) => grant.permissions.includes(letter));
  if (!allowed) throw new AzureFilesError('AuthorizationPermissionMismatch');
}

/** A service SAS never reaches the share itself but for listing its folders; one for a file reaches that file only. */
function isWithinService(resource: 's' | 'f', { level, anyOf }: Requirement): boolean {
  return level === 'o' || (resource === 's' && level === 'c' && anyOf === 'l');
}
