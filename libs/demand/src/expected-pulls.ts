/** How demand so far is turned into pulls to come. */
export interface ForecastParameters {
  /** The half-life of the counts given. */
  readonly halfLifeMs: number;
  /** How far ahead to look: about how long a replica stays. */
  readonly horizonMs: number;
  /** The share of its repository's other pulls that the newest tag inherits, from 0 to below 1; each older generation inherits this ratio of the one before. */
  readonly inheritRatio: number;
}

/** What is known of one image's demand in one region, at one instant. */
export interface ImageDemand {
  /** The image's own decayed count. */
  readonly ownWeight: number;
  /** The decayed count of all images of its repository, this one included. */
  readonly repositoryWeight: number;
  /** How many newer pushes the repository has had: 0 for the newest. Undefined for an image that no tag names any more: it inherits nothing. */
  readonly generation: number | undefined;
}

/** Pulls expected within the horizon, and where the expectation comes from. */
export interface ExpectedPulls {
  readonly total: number;
  /** From pulls of this image. */
  readonly own: number;
  /** From pulls of the repository's other images. */
  readonly inherited: number;
}

/**
 * The pulls of one image that one region will see within the horizon, if pulls go on as they did. A steady rate of `r` pulls a millisecond holds a
 * count of `r × halfLife / ln 2`, so a count tells the rate. A new tag has no past of its own: its expectation is a share of what its repository's
 * other images are pulled, because whoever pulled the last version will pull this one. The shares of all generations together stay below the whole
 * for `inheritRatio` up to a half.
 */
export function expectedPulls(demand: ImageDemand, parameters: ForecastParameters): ExpectedPulls {
  const pullsPerWeight = (Math.LN2 * parameters.horizonMs) / parameters.halfLifeMs;
  const others = Math.max(0, demand.repositoryWeight - demand.ownWeight);
  const share = demand.generation === undefined ? 0 : parameters.inheritRatio ** (demand.generation + 1);
  const own = demand.ownWeight * pullsPerWeight;
  const inherited = others * share * pullsPerWeight;
  return { total: own + inherited, own, inherited };
}
