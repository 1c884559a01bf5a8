import type { Disturbances, Fault, FaultKind, Scope } from './disturbances.js';

/** What one request's payload passes through: the limits and faults that cover it. */
export class Line {
  readonly #disturbances: Disturbances;
  readonly #scope: Scope;

  constructor(disturbances: Disturbances, scope: Scope) {
    this.#disturbances = disturbances;
    this.#scope = scope;
  }

  /** Lets payload through. */
  carry(bytes: number): Promise<void> {
    return this.#disturbances.carry(this.#scope, bytes);
  }

  /** The fault of this kind that strikes this request, if one does. */
  strike(kind: FaultKind): Fault | undefined {
    return this.#disturbances.strike(kind, this.#scope);
  }

  /** After how many of `length` bytes of a body the connection is to be cut; undefined where it is not. */
  cutAfter(length: number): number | undefined {
    const fault = this.strike('cut-body');
    return fault === undefined || length === 0 ? undefined : Math.min(fault.afterBytes ?? Math.floor(length / 2), length - 1);
  }

  /** Changes one byte of `bytes` where that fault strikes. */
  disturb(bytes: Buffer): void {
    if (bytes.length === 0 || this.strike('flipped-byte') === undefined) return;
    const at = this.#disturbances.pick(bytes.length);
    bytes[at] = bytes[at]! ^ 0xff;
  }

  /** Returns when a copy onto this share need not stay pending, or `signal` aborts. */
  untilCopiesGoOn(signal: AbortSignal): Promise<void> {
    return this.#disturbances.cleared('copy-pending', this.#scope, signal);
  }
}
