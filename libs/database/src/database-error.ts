import { CodedError } from '#errors';

/** What keeps the database from being used. */
export type DatabaseErrorCode = 'DATABASE_START_FAILED' | 'DATABASE_UNREACHABLE' | 'DATABASE_TOO_OLD';

/** The database as a whole could not be opened; failures of single statements stay what the driver throws. */
export class DatabaseError extends CodedError<DatabaseErrorCode> {}
