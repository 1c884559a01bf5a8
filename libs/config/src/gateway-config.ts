import { PLACEMENT_PARAMETERS_DEFAULT } from '#placement';

/** The part of a gateway's settings that other settings may contradict. */
export interface GatewayShape {
  readonly enabled: boolean;
  readonly region?: string | undefined;
  readonly keep: { readonly layers?: boolean | undefined };
}

/** What does not go together in the settings of a gateway: its region must have a share that is not home's, and layers are kept only where they pass and have somewhere to go. */
export function gatewayContradictions({ enabled, region, keep }: GatewayShape, { home, names }: { readonly home: string; readonly names: readonly string[] }): { path: string[]; message: string }[] {
  const found: { path: string[]; message: string }[] = [];
  if (region !== undefined && (region === home || !names.includes(region))) {
    const others = names.filter((name) => name !== home);
    found.push({ path: ['gateway', 'region'], message: `must be one of the regions in the list that is not home: ${others.join(', ')}` });
  }
  if (keep.layers === true && (region === undefined || !enabled)) found.push({ path: ['gateway', 'keep', 'layers'], message: 'must not be true without gateway.enabled and gateway.region: nothing passes, or there is no share to keep it on' });
  return found;
}

/** Whether a gateway keeps layers that pass through it: where it passes blobs on and serves a region, unless it is told not to. */
export function keepsLayers<Gateway extends GatewayShape>(gateway: Gateway): gateway is Gateway & { readonly region: string } {
  return gateway.enabled && gateway.region !== undefined && gateway.keep.layers !== false;
}

/**
 * The share of each region's capacity that is kept for what passes through its gateway: what is set, or else the planner's own where there is a gateway that may keep what passes, and none
 * where nothing would fill it. A gateway without a region, which keeps nothing itself, may be home's, whose planner decides for the regions that have one.
 */
export function reactiveRatioOf({ gateway, placement }: { readonly gateway: GatewayShape; readonly placement: { readonly reactiveRatio?: number | undefined } }): number {
  return placement.reactiveRatio ?? (gateway.enabled && gateway.keep.layers !== false ? PLACEMENT_PARAMETERS_DEFAULT.reactiveRatio : 0);
}
