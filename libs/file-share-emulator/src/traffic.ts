/** Payload bytes that one account moved: contents of files, without headers and XML. */
export interface AccountTraffic {
  /** From clients, by Put Range. */
  readonly ingressBytes: number;
  /** To clients, by Get File. */
  readonly egressBytes: number;
  /** From copy sources, by Put Range From URL. */
  readonly copyInBytes: number;
  /** To other shares of this emulator as a copy source. */
  readonly copyOutBytes: number;
}

/** Counts payload bytes by account. */
export class TrafficMeter {
  readonly #accounts = new Map<string, AccountTraffic>();

  constructor(accounts: Iterable<string>) {
    for (const name of accounts) this.#accounts.set(name, { ingressBytes: 0, egressBytes: 0, copyInBytes: 0, copyOutBytes: 0 });
  }

  add(account: string, direction: keyof AccountTraffic, bytes: number): void {
    const before = this.#accounts.get(account);
    if (before !== undefined) this.#accounts.set(account, { ...before, [direction]: before[direction] + bytes });
  }

  /** Counts since the start, by account name. */
  snapshot(): Readonly<Record<string, AccountTraffic>> {
    return Object.fromEntries(this.#accounts);
  }
}
