import type { DecisionBody, PlanBody, PlanComparisonBody, PlanSummaryBody } from '#contract';
import type { ComparedImage, PlacementDecision, PlanComparison, PlanSummary, StoredPlan } from '#placement';
import { GB } from '#quantities';
import type { RegionMap, RegionName } from '#regions';

/** Writes plans down as the API shows them; copies are priced by the link from home. */
export class PlanBodies {
  constructor(private readonly regions: RegionMap) {}

  /** A plan with its decisions. */
  plan(plan: StoredPlan): PlanBody {
    const { decisions, decisionsOmittedCount } = plan;
    return { ...this.summary(plan), decisions: decisions.map((decision) => this.#decision(plan.region, decision)), decisionsOmittedCount };
  }

  /** The same without them. */
  summary(plan: PlanSummary): PlanSummaryBody {
    const { id, region, madeAt, trigger, repositories, orderedAt, terms, capacityBytes, usedBytes, forcedBytes, drainingBytes, counts, unresolvedPins } = plan;
    return {
      id, region, trigger, capacityBytes, usedBytes, forcedBytes, drainingBytes, counts,
      plannedAt: madeAt.toISOString(),
      unresolvedPins: [...unresolvedPins],
      ...(repositories === undefined ? {} : { repositories: [...repositories] }),
      ...(orderedAt === undefined ? {} : { orderedAt: orderedAt.toISOString() }),
      ...(terms === undefined ? {} : { terms }),
    };
  }

  /** What another plan of a region does otherwise. */
  comparison(region: RegionName, { comes, goes, otherwise, parameters, ...numbers }: PlanComparison): PlanComparisonBody {
    const named = (images: readonly ComparedImage[]) => images.map(({ repository, digest, before, after }) => ({
      repository, digest,
      ...(before === undefined ? {} : { before: this.#decision(region, before) }),
      ...(after === undefined ? {} : { after: this.#decision(region, after) }),
    }));
    return { region, ...numbers, parameters: parameters.map((each) => ({ ...each })), comes: named(comes), goes: named(goes), otherwise: named(otherwise) };
  }

  /** What copying so many bytes from home to a region costs, in USD. */
  copyUsd(region: RegionName, bytes: number): number {
    return (bytes / GB) * this.regions.link(this.regions.home, region).pricePerGb;
  }

  #decision(region: RegionName, { displaced, displacedBy, ...decision }: PlacementDecision): DecisionBody {
    return {
      ...decision,
      ...(decision.marginalBytes > 0 ? { copyUsd: this.copyUsd(region, decision.marginalBytes) } : {}),
      ...(displaced === undefined ? {} : { displaced: [...displaced] }),
      ...(displacedBy === undefined ? {} : { displacedBy: [...displacedBy] }),
    };
  }
}
