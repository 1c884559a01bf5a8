import type { KeptToken } from './service-token-store.js';

/** Tokens as they were at an instant. */
export interface SavedTokens {
  readonly tokens: readonly KeptToken[];
  /** When they last agreed with the store. */
  readonly at: Date;
}

/** Keeps the tokens that hold outside of the store, for a start without it. What is kept of a secret is its digest, as in the store. */
export abstract class TokenSnapshot {
  /** Keeps these in place of what was kept, whole or not at all. */
  abstract save(saved: SavedTokens): Promise<void>;

  /** What was saved last; undefined when there is nothing that can be used: none, another deployment's, or one that was changed. */
  abstract load(): Promise<SavedTokens | undefined>;
}
