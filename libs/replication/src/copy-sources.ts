import type { Clock } from '#clock';
import { after } from '#clock';
import { MINUTE_MS } from '#quantities';
import type { RegionMap, RegionName } from '#regions';
import type { CopySource, Share } from '#shares';

/** How long a source's grant holds: longer than any batch of pieces, short enough that a leaked one is soon worth nothing. */
export const GRANT_MS = 15 * MINUTE_MS;
/** A grant with less time left than this is minted anew: a piece under way must not see it end. */
export const GRANT_RENEWED_BEFORE_MS = 5 * MINUTE_MS;

/** `shares` as sources for `target`, the cheapest link first, then the nearest, then by name, so that the order is total. */
export function orderSources(shares: Iterable<Share>, target: RegionName, regions: RegionMap): Share[] {
  return [...shares].toSorted((a, b) => {
    const [left, right] = [regions.link(a.region, target), regions.link(b.region, target)];
    return left.pricePerGb - right.pricePerGb || left.roundTripMs - right.roundTripMs || (a.name < b.name ? -1 : 1);
  });
}

/** One share to copy a layer from, with a grant that is renewed while the copy goes on. */
export class GrantedSource {
  readonly share: Share;
  readonly #path: string;
  readonly #clock: Clock;
  #grant: Promise<CopySource> | undefined;
  #renewAt = new Date(0);

  /** @param path of the file on `share`. */
  constructor(share: Share, path: string, clock: Clock) {
    this.share = share;
    this.#path = path;
    this.#clock = clock;
  }

  /** A grant with at least {@link GRANT_RENEWED_BEFORE_MS} to go; many pieces share one. */
  grant(): Promise<CopySource> {
    const now = this.#clock.now();
    if (this.#grant === undefined || now >= this.#renewAt) {
      this.#renewAt = after(now, GRANT_MS - GRANT_RENEWED_BEFORE_MS);
      this.#grant = this.share.grantCopySource(this.#path, after(now, GRANT_MS));
      // A failed grant is not kept; whoever asked sees the failure.
      this.#grant.catch(() => this.drop());
    }
    return this.#grant;
  }

  /** Has the next piece ask for a new grant: this one did not serve. */
  drop(): void {
    this.#grant = undefined;
  }
}
