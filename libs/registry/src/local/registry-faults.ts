import type { RegistryPart } from './registry-exchange.js';

/** What goes wrong with an answer. */
export type RegistryFault =
  /** Nothing is done; this status is answered. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  /** The request is taken and never answered. */
  | { readonly kind: 'silence' }
  /** The body ends with the connection after so many bytes. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** The body stands still after so many bytes. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** One bit of the body's byte at this place is another. */
  | { readonly kind: 'wrong-byte'; readonly at: number }
  /** The request is sent elsewhere. */
  | { readonly kind: 'redirect'; readonly to: string }
  /** `Range` is ignored. */
  | { readonly kind: 'no-ranges' };

/** Which requests a fault hits. */
export interface FaultTarget {
  readonly part: RegistryPart;
  readonly method?: string;
  /** A tag or digest; absent: any. */
  readonly target?: string;
}

interface PlannedFault {
  readonly on: FaultTarget;
  readonly fault: RegistryFault;
  timesLeft: number;
}

/** The faults that a {@link LocalRegistry} still has to show, in the order in which they were asked for. */
export class RegistryFaults {
  readonly #planned: PlannedFault[] = [];

  /** Lets the next `times` requests to `on` fail. */
  add(on: FaultTarget, fault: RegistryFault, times = 1): void {
    this.#planned.push({ on, fault, timesLeft: times });
  }

  /** Forgets every fault. */
  clear(): void {
    this.#planned.length = 0;
  }

  /** The fault for a request, used up once; undefined when all goes well. */
  take(request: { readonly part: RegistryPart; readonly method: string; readonly target: string }): RegistryFault | undefined {
    const found = this.#planned.find(
      ({ on, timesLeft }) =>
        timesLeft > 0 && on.part === request.part && (on.method ?? request.method) === request.method && (on.target ?? request.target) === request.target,
    );
    if (found === undefined) return undefined;
    found.timesLeft -= 1;
    return found.fault;
  }
}
