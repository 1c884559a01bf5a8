import { CodedError } from '#errors';

/** What can be wrong with a service token, or with storing it. */
export type AccessErrorCode = 'TOKEN_INVALID' | 'TOKENS_TOO_MANY';

/** A service token that is refused when it is made. `TOKEN_INVALID` names in `details` the `field` and the `rule` that it breaks; both codes are final. */
export class AccessError extends CodedError<AccessErrorCode> {}
