import type { Calibration } from './calibration.js';

/** What was foretold of one image for a time, and what came of it so far. */
export interface ForetoldPulls {
  /** Within the whole time. */
  readonly expectedPulls: number;
  /** The part of that which rests on pulls in other regions. */
  readonly elsewherePulls: number;
  /** So far. */
  readonly pulls: number;
}

/** How far a region's pulls are off what was foretold, in deviations; more than foretold where positive. */
export interface Surprises {
  /** How much of the time is over, by the rhythm of the region's week: 0 to 1. */
  readonly passedRatio: number;
  /** Of all images together. */
  readonly all: number;
  /** Of each image, in the order given: less what the most surprising of so many is off by chance. */
  readonly images: readonly number[];
}

/** Holds what came within a part of a time against what was foretold for all of it. */
export function surprisesOf(foretold: readonly ForetoldPulls[], passedRatio: number, calibration: Pick<Calibration, 'deviations'>): Surprises {
  let [expected, elsewhere, came] = [0, 0, 0];
  for (const { expectedPulls, elsewherePulls, pulls } of foretold) {
    expected += expectedPulls * passedRatio;
    elsewhere += elsewherePulls * passedRatio;
    came += pulls;
  }
  const images = foretold.map(({ expectedPulls, elsewherePulls, pulls }) => beyondChance(calibration.deviations(expectedPulls * passedRatio, pulls, elsewherePulls * passedRatio), foretold.length));
  return { passedRatio, all: calibration.deviations(expected, came, elsewhere), images };
}

/** The tail of a normal variable falls like exp(-d² / 2): the farthest of `count` such is as rare as one alone that is off by this. */
function beyondChance(deviations: number, count: number): number {
  return Math.sign(deviations) * Math.sqrt(Math.max(0, deviations ** 2 - 2 * Math.log(count)));
}
