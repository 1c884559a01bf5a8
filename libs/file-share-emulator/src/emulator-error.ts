import { CodedError } from '#errors';

/** Why an emulator could not be started. */
export type EmulatorErrorCode = 'EMULATOR_OPTIONS_INVALID' | 'EMULATOR_FOLDER_LOCKED' | 'EMULATOR_NOT_LISTENING';

/** An emulator that could not be started. What it answers to clients is another thing: those errors have Azure's form. */
export class EmulatorError extends CodedError<EmulatorErrorCode> {}
