import type { DataSource } from 'typeorm';

import { callersNow, type DecidingClock, decidingNow, millisecondsOf, onCallersClock } from '#claims/typeorm';

import { type AnsweringBeat, type AnsweringProcess, AnsweringProcesses, type AnsweringStanding, SILENCE_MAX_MS } from '../answering-processes.js';

/** As the migration defines it; null where the server does not tell, which is equal to nothing. */
const IDENTITY = 'database_identity()';

const COUNTS_MS = millisecondsOf('counts_ms');
/** Whether it handed out what nobody knows of, not long ago. */
const isUnleased = (now: string): string => `coalesce(unleased_at + ${COUNTS_MS} > ${now}, false)`;

const HEARD_NOW = decidingNow('$7');
/** Nobody has given a lease yet where the history is infinite and there is none. */
const HEARD = `
  WITH silence AS (SELECT coalesce(max(heard_at) < ${HEARD_NOW} - ${millisecondsOf('$8')}, false) AS broke FROM answering_processes),
       history AS (
         INSERT INTO answering_history AS known (identity, unbroken_since) SELECT ${IDENTITY}, ${HEARD_NOW} FROM silence
         WHERE broke OR NOT EXISTS (SELECT FROM answering_history WHERE identity = ${IDENTITY})
         ON CONFLICT (singleton) DO UPDATE SET identity = excluded.identity,
           unbroken_since = CASE WHEN known.identity IS NULL AND known.unbroken_since = '-infinity' AND NOT EXISTS (SELECT FROM leases) THEN known.unbroken_since ELSE excluded.unbroken_since END
         -- Who was heard at the same time may have noted it already.
         WHERE known.identity IS DISTINCT FROM excluded.identity OR EXISTS (SELECT FROM silence WHERE broke)),
       followed AS (DELETE FROM answering_processes WHERE id = $9::uuid AND ended AND NOT ${isUnleased(HEARD_NOW)})
  INSERT INTO answering_processes AS process (id, name, counts_ms, known_to, ended, heard_at, unleased_at)
  VALUES ($1, $2, $3, $4, $5, ${HEARD_NOW}, CASE WHEN $6::boolean THEN ${HEARD_NOW} END)
  ON CONFLICT (id) DO UPDATE SET counts_ms = excluded.counts_ms, known_to = excluded.known_to, ended = excluded.ended, heard_at = excluded.heard_at,
    unleased_at = coalesce(excluded.unleased_at, process.unleased_at)`;

const NOW = decidingNow('$1');
/** It stays, and tells how long there has been silence. */
const FORGET = `UPDATE answering_processes SET counts_ms = 0, ended = true WHERE id = $2 AND NOT ${isUnleased(NOW)}`;
const COUNTS = `heard_at + ${COUNTS_MS} > ${NOW}`;
const KNOWN_TO_ALL = `
  SELECT min(known_to::text::bigint)::text AS known
  FROM answering_processes WHERE ${COUNTS}
  HAVING bool_and(known_to IS NOT NULL AND NOT ${isUnleased(NOW)}) AND max(heard_at) >= ${NOW} - ${millisecondsOf('$2')}
    AND EXISTS (SELECT FROM answering_history WHERE identity = ${IDENTITY} AND unbroken_since <= ${NOW} - ${millisecondsOf('max(counts_ms)')})`;
const LIST = `
  SELECT id, name, heard_at, known_to::text, ${NOW} AS decided,
         CASE WHEN ended THEN 'ended' WHEN heard_at < ${NOW} - ${millisecondsOf('$2')} THEN 'silent' WHEN ${isUnleased(NOW)} THEN 'unleased' WHEN known_to IS NULL THEN 'nothing' ELSE 'follows' END AS standing
  FROM answering_processes WHERE ${COUNTS} ORDER BY heard_at, id`;
const PRUNE = `
  WITH gone AS (
    DELETE FROM answering_processes WHERE id IN (
      SELECT id FROM answering_processes WHERE NOT (${COUNTS}) AND heard_at < (SELECT max(heard_at) FROM answering_processes) ORDER BY heard_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id)
  SELECT count(*)::int AS count FROM gone`;

interface ListedRow {
  readonly id: string;
  readonly name: string;
  readonly heard_at: Date;
  readonly known_to: string | null;
  readonly standing: AnsweringStanding;
  readonly decided: Date;
}

/** The processes that answer, in the tables `answering_processes` and `answering_history`. */
export class PostgresAnsweringProcesses extends AnsweringProcesses {
  readonly #dataSource: DataSource;
  readonly #clock: DecidingClock;

  constructor(dataSource: DataSource, clock: DecidingClock = 'database') {
    super();
    this.#dataSource = dataSource;
    this.#clock = clock;
  }

  async heard({ id, name, countsForMs, knownTo, isUnleased, isEnded, predecessor }: AnsweringBeat, now: Date): Promise<void> {
    await this.#dataSource.query(HEARD, [id, name, countsForMs, knownTo?.toString() ?? null, isEnded, isUnleased, callersNow(this.#clock, now), SILENCE_MAX_MS, predecessor ?? null]);
  }

  async forget(id: string, now: Date): Promise<void> {
    await this.#dataSource.query(FORGET, [callersNow(this.#clock, now), id]);
  }

  async knownToAll(now: Date): Promise<bigint | undefined> {
    const rows = await this.#dataSource.query<{ known: string | null }[]>(KNOWN_TO_ALL, [callersNow(this.#clock, now), SILENCE_MAX_MS]);
    const known = rows[0]?.known ?? undefined;
    return known === undefined ? undefined : BigInt(known);
  }

  async list(now: Date): Promise<readonly AnsweringProcess[]> {
    const rows = await this.#dataSource.query<ListedRow[]>(LIST, [callersNow(this.#clock, now), SILENCE_MAX_MS]);
    return rows.map((row) => ({
      id: row.id, name: row.name, standing: row.standing, knownTo: row.known_to === null ? undefined : BigInt(row.known_to), heardAt: onCallersClock(row.heard_at, { decided: row.decided, now }),
    }));
  }

  async prune(now: Date, limit: number): Promise<number> {
    const rows = await this.#dataSource.query<{ count: number }[]>(PRUNE, [callersNow(this.#clock, now), limit]);
    return rows[0]?.count ?? 0;
  }
}
