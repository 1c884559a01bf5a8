import type { DataSource } from 'typeorm';

import type { ClaimRequest } from '#claims';
import { callersNow, type ClaimedRow, type ClaimPeriod, type ClaimRow, decidingNow, millisecondsOf } from '#claims/typeorm';
import { MINUTE_MS } from '#quantities';

/** Rows that one statement looks at beyond those that it may take: a bound on what is locked, and on how many views' layers are looked up. */
const ROWS_PASSED_MAX = 100;
/** Statements of one claim: enough to pass some hundred views that wait for their layers. */
const ROUNDS_MAX = 5;
/** How long a view that waits for its layers is not looked at again. It is nearly always woken before, when the last of them is settled. */
const VIEW_WAIT_MS = 5 * MINUTE_MS;

const URGENCY = 'priority DESC, wanted_at, digest';
const NOW = decidingNow('$1');
/** $1 now, $2 how many at most, $3 the claimant, $4 how long the claim holds, $5 how long a view that waits is not looked at, both in milliseconds. */
const CLAIM = `
  WITH due AS MATERIALIZED (
    SELECT digest, stacks, priority, wanted_at FROM expanded_layers
    WHERE state IN ('wanted', 'expanding') AND not_before <= ${NOW} AND (claim_id IS NULL OR claim_expires_at <= ${NOW})
    ORDER BY ${URGENCY} LIMIT $2::int + ${ROWS_PASSED_MAX} FOR UPDATE SKIP LOCKED),
  judged AS MATERIALIZED (
    SELECT due.*, due.stacks IS NOT NULL AND EXISTS (
      SELECT FROM expanded_layers AS part WHERE part.digest = ANY(due.stacks) AND part.state IN ('wanted', 'expanding')) AS waits
    FROM due),
  passed AS (
    UPDATE expanded_layers AS work SET not_before = ${NOW} + ${millisecondsOf('$5')}, state = 'wanted', claim_id = NULL, claimed_by = NULL, claim_expires_at = NULL
    FROM judged WHERE work.digest = judged.digest AND judged.waits RETURNING work.digest),
  taken AS MATERIALIZED (SELECT digest FROM judged WHERE NOT waits ORDER BY ${URGENCY} LIMIT $2::int),
  claimed AS (
    UPDATE expanded_layers AS work
    SET claim_id = gen_random_uuid(), claimed_by = $3, claim_expires_at = ${NOW} + ${millisecondsOf('$4')}, attempts = attempts + 1, state = 'expanding', read_bytes = 0
    FROM taken WHERE work.digest = taken.digest RETURNING work.*)
  SELECT passed.digests AS passed, claimed.*, ${NOW} AS decided FROM (SELECT array_agg(digest) AS digests FROM passed) AS passed LEFT JOIN claimed ON true`;

/**
 * $1 the views that were just passed over. A layer that was settled after the claim's snapshot was taken, and before the view was locked, has woken the view in vain: who looks again
 * sees it settled, and one that is settled later wakes the view itself.
 */
const LOOK_AGAIN = `
  UPDATE expanded_layers AS work SET not_before = '-infinity'
  FROM (
    SELECT view.digest FROM expanded_layers AS view
    WHERE view.digest = ANY($1::text[]) AND view.state = 'wanted' AND NOT EXISTS (
      SELECT FROM expanded_layers AS part WHERE part.digest = ANY(view.stacks) AND part.state IN ('wanted', 'expanding'))
    ORDER BY view.digest FOR UPDATE OF view) AS settled
  WHERE work.digest = settled.digest`;

type ClaimedOrPassed<Row> = { readonly passed: readonly string[] | null; readonly decided: Date } & (Row | { readonly digest: null });

/**
 * Claims layers and views as `claimRows` does, but views only when none of their layers is under way. Views that wait are passed over, given back if a worker left them, and not looked at
 * for a while, so that any number of them costs little: to be called with {@link WAKE_VIEWS} whenever a layer is settled.
 */
export async function claimLayers<Row extends ClaimRow & { readonly digest: string }>(db: DataSource, request: ClaimRequest & ClaimPeriod): Promise<ClaimedRow<Row>[]> {
  const { clock, now, owner, leaseMs } = request;
  const claimed: ClaimedRow<Row>[] = [];
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const rows = await db.query<ClaimedOrPassed<Row>[]>(CLAIM, [callersNow(clock, now), request.limit - claimed.length, owner, leaseMs, VIEW_WAIT_MS]);
    claimed.push(...rows.filter((row) => row.digest !== null).map((row) => ({ ...(row as ClaimedOrPassed<Row> & Row), now })));
    const passed = rows[0]?.passed ?? [];
    if (passed.length > 0) await db.query(LOOK_AGAIN, [passed]);
    if (claimed.length >= request.limit || passed.length === 0) break;
  }
  return claimed;
}

/**
 * Has the views looked at again that wait for the layers in `settled (digest, stacks)`, a CTE of the statement that this is the rest of. Rows are locked by digest, as everybody does who
 * locks several; those that are being passed over just now, by somebody who does not see the layer settled yet, are waited for.
 */
export const WAKE_VIEWS = `
  UPDATE expanded_layers AS work SET not_before = '-infinity'
  FROM (
    SELECT view.digest FROM settled JOIN expanded_layers AS view ON view.stacks @> ARRAY[settled.digest]
    WHERE settled.stacks IS NULL AND view.stacks IS NOT NULL AND view.state = 'wanted' ORDER BY view.digest FOR UPDATE OF view) AS waiting
  WHERE work.digest = waiting.digest`;
