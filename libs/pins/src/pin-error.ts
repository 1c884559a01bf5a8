import { CodedError } from '#errors';

/** What can be wrong with a pin, or with storing it. */
export type PinErrorCode = 'PIN_INVALID' | 'PIN_CONFLICT' | 'PINS_TOO_MANY';

/** A pin that is refused. `PIN_INVALID` names in `details` the `field` and the `rule` that it breaks; all codes are final. */
export class PinError extends CodedError<PinErrorCode> {}
