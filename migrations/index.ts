import { ChangeFeed1763000000000 } from './1763000000000-change-feed.js';

/** Every migration, oldest first. A landed one is never edited: what follows is a new one. */
export const MIGRATIONS = [ChangeFeed1763000000000] as const;
