/** Where a bench of lookups runs, and with what. */
export interface BenchPlace {
  /** The compiled service. */
  readonly main: string;
  /** The program that sends at a pace. */
  readonly pacer: string;
  /** Removed at the end. */
  readonly folder: string;
  /** A database of so many layers; filled when it is first asked for. */
  readonly database: (layerCount: number) => Promise<string>;
  readonly tell: (line: string) => void;
}

/** Layers in the maps. */
export const [SMALL, LARGE] = [200_000, 1_000_000];

/** A size, as figures name it. */
export function sizeName(layerCount: number): string {
  return layerCount >= 1e6 ? `${layerCount / 1e6} M layers` : `${layerCount / 1e3} k layers`;
}
