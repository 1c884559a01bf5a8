/**
 * What one replica is, from being wanted to being gone.
 *
 * ```
 *                      claim             complete            drain              removed
 *   gone ──want──► wanted ─────► copying ─────────► ready ─────────► draining ─────────► gone
 *    ▲               │ ▲  give back │                 ▲                ▲  ▲ │
 *    │               │ └────────────┘                 │                │  └─┘ give back
 *    └────cancel─────┤                                │                │
 *                    ├────────────record──────────────┤ (also from copying and gone)
 *                    └────────────abandon─────────────┼────────────────┘ (also from copying)
 * ```
 *
 * `gone` is the absence of a row. Only `ready` is ever handed out (I1).
 */
export type ReplicaState = 'wanted' | 'copying' | 'ready' | 'draining' | 'gone';

/** Every {@link ReplicaState}, in the order of a replica's life. */
export const REPLICA_STATES: readonly ReplicaState[] = ['wanted', 'copying', 'ready', 'draining', 'gone'];

/**
 * What can happen to a replica.
 *
 * - `want`: the plan orders it.
 * - `begin`: a worker claims its copy; also when the claim before ran out.
 * - `giveBack`: a claim is released or postponed.
 * - `complete`: the copy is whole, verified, and under its final name.
 * - `record`: an expansion put the file there itself.
 * - `drain`: the plan no longer orders it.
 * - `cancel`: it is no longer ordered, and nothing was written for it.
 * - `abandon`: it is no longer ordered, and bytes may have been written for it.
 * - `removed`: its file, and what was left of partial ones, is no more.
 */
export type ReplicaEvent = 'want' | 'begin' | 'giveBack' | 'complete' | 'record' | 'drain' | 'cancel' | 'abandon' | 'removed';

/** Every {@link ReplicaEvent}. */
export const REPLICA_EVENTS: readonly ReplicaEvent[] = ['want', 'begin', 'giveBack', 'complete', 'record', 'drain', 'cancel', 'abandon', 'removed'];

/** The state that an event leads to; null where it is refused and nothing changes. The type demands every pair. */
type Transitions = Readonly<Record<ReplicaState, Readonly<Record<ReplicaEvent, ReplicaState | null>>>>;

/**
 * The life of a replica, whole. Its laws, each with its check in `replica-state.spec.ts`:
 *
 * - only a verified copy or an expansion makes a replica ready: `only complete and record lead to ready`
 * - a file that nodes may have open leaves the answers before it goes: `nothing that may have a file goes without draining`
 * - what drains is never written to: `a draining replica can only become gone`
 * - no replica is stuck: `every state leads to gone and to ready`
 *
 * The stores keep to it: the conformance suite tries every pair on each of them. What the table cannot see, the last
 * ready replica of a layer, is the stores' own rule for `drain`.
 */
export const REPLICA_TRANSITIONS: Transitions = {
  wanted: {
    want: 'wanted', begin: 'copying', giveBack: null, complete: null, record: 'ready', drain: null, cancel: 'gone', abandon: 'draining', removed: null,
  },
  copying: {
    want: 'copying', begin: 'copying', giveBack: 'wanted', complete: 'ready', record: 'ready', drain: null, cancel: null, abandon: 'draining', removed: null,
  },
  ready: {
    want: 'ready', begin: null, giveBack: null, complete: null, record: 'ready', drain: 'draining', cancel: null, abandon: null, removed: null,
  },
  draining: {
    want: null, begin: null, giveBack: 'draining', complete: null, record: null, drain: 'draining', cancel: null, abandon: null, removed: 'gone',
  },
  gone: {
    want: 'wanted', begin: null, giveBack: null, complete: null, record: 'ready', drain: null, cancel: null, abandon: null, removed: null,
  },
};

/** Where `event` leads from `state`, or null when it is refused. */
export function nextReplicaState(state: ReplicaState, event: ReplicaEvent): ReplicaState | null {
  return REPLICA_TRANSITIONS[state][event];
}

/** The states in which `event` is not refused. */
export function statesThatTake(event: ReplicaEvent): ReplicaState[] {
  return REPLICA_STATES.filter((state) => REPLICA_TRANSITIONS[state][event] !== null);
}
