import type { EmulatedAccount } from '../emulator-options.js';
import type { StoredPolicy } from '../storage/share-record.js';
import type { TokenVerifier } from './bearer-token.js';

/** Whom an emulator knows, and what it has been told of them. */
export interface Access {
  readonly accounts: ReadonlyMap<string, EmulatedAccount>;
  /** Absent where no issuer of tokens is trusted. */
  readonly tokens?: TokenVerifier | undefined;
  /** The stored access policies of a share; none for a share that does not exist. */
  policiesOf(account: string, share: string): readonly StoredPolicy[];
}
