/**
 * What one replica is, from being wanted to being gone.
 *
 * ```
 *                      claim             complete            drain              removed
 *   gone ──want──► wanted ─────► copying ─────────► ready ─────────► draining ─────────► gone
 *    ▲               │ ▲  give back │                ▲ ▲              │ ▲  ▲ │
 *    │               │ └────────────┘                │ └────recall────┘ │  └─┘ give back
 *    └────cancel─────┤                               │                  │
 *                    ├────────────record─────────────┘ (also from copying, draining and gone)
 *                    └────────────abandon───────────────────────────────┘ (also from copying)
 * ```
 *
 * Not drawn: `ready ──lose──► wanted`, when an audit finds the file missing or damaged. `gone` is the absence of a row. Only `ready` is ever handed out (I1).
 *
 * A draining replica comes back, by `recall` or `record`, only until its removal has begun: from the moment a worker is about to delete the file, which it
 * notes first (`beginRemoval`), there is no way back, whatever becomes of that worker. And `recall` takes only what was ready before: what was
 * abandoned in the middle of a copy has no whole file.
 */
export type ReplicaState = 'wanted' | 'copying' | 'ready' | 'draining' | 'gone';

/** Every {@link ReplicaState}, in the order of a replica's life. */
export const REPLICA_STATES: readonly ReplicaState[] = ['wanted', 'copying', 'ready', 'draining', 'gone'];

/**
 * What can happen to a replica.
 *
 * - `want`: the plan orders it. Of a draining replica that is its `recall`, or nothing.
 * - `begin`: a worker claims its copy; also when the claim before ran out.
 * - `giveBack`: a claim is released or postponed.
 * - `complete`: the copy is whole, verified, and under its final name.
 * - `record`: an expansion put the file there itself.
 * - `drain`: the plan no longer orders it.
 * - `recall`: it is ordered, or its layer is referenced, again while it drains.
 * - `lose`: its file was found missing, or of another size; it is ordered again.
 * - `cancel`: it is no longer ordered, and nothing was written for it.
 * - `abandon`: it is no longer ordered, and bytes may have been written for it.
 * - `removed`: its file, and what was left of partial ones, is no more.
 */
export type ReplicaEvent = 'want' | 'begin' | 'giveBack' | 'complete' | 'record' | 'drain' | 'recall' | 'lose' | 'cancel' | 'abandon' | 'removed';

/** Every {@link ReplicaEvent}. */
export const REPLICA_EVENTS: readonly ReplicaEvent[] = ['want', 'begin', 'giveBack', 'complete', 'record', 'drain', 'recall', 'lose', 'cancel', 'abandon', 'removed'];

/** The state that an event leads to; null where it is refused and nothing changes. The type demands every pair. */
type Transitions = Readonly<Record<ReplicaState, Readonly<Record<ReplicaEvent, ReplicaState | null>>>>;

/**
 * The life of a replica, whole. Its laws, each with its check in `replica-state.spec.ts`:
 *
 * - only a verified copy, an expansion, or the recall of what was ready makes a replica ready: `only complete, record and recall lead to ready`
 * - a file that nodes may have open leaves the answers before it goes: `nothing that may have a file goes without draining`
 * - what drains is never copied to: `a draining replica becomes gone, or ready as it is`
 * - no replica is stuck: `every state leads to gone and to ready`
 *
 * The stores keep to it: the conformance suite tries every pair on each of them. What the table cannot see, the last
 * ready replica of a layer, is the stores' own rule for `drain`; the begun removal is theirs for `recall` and `record`.
 */
export const REPLICA_TRANSITIONS: Transitions = {
  wanted: {
    want: 'wanted', begin: 'copying', giveBack: null, complete: null, record: 'ready',
    drain: null, recall: null, lose: null, cancel: 'gone', abandon: 'draining', removed: null,
  },
  copying: {
    want: 'copying', begin: 'copying', giveBack: 'wanted', complete: 'ready', record: 'ready',
    drain: null, recall: null, lose: null, cancel: null, abandon: 'draining', removed: null,
  },
  ready: {
    want: 'ready', begin: null, giveBack: null, complete: null, record: 'ready',
    drain: 'draining', recall: null, lose: 'wanted', cancel: null, abandon: null, removed: null,
  },
  draining: {
    want: null, begin: null, giveBack: 'draining', complete: null, record: 'ready',
    drain: 'draining', recall: 'ready', lose: null, cancel: null, abandon: null, removed: 'gone',
  },
  gone: {
    want: 'wanted', begin: null, giveBack: null, complete: null, record: 'ready',
    drain: null, recall: null, lose: null, cancel: null, abandon: null, removed: null,
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
