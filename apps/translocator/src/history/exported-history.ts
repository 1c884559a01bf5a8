import type { HistoryEvent, HistoryMark, PullHistory } from '#demand';
import { formatReplayEvent, formatReplayImage, imageKey, type PlacementFacts, type ReplayEvent, type ReplayImage, REPLAY_IMAGES_MAX } from '#placement';
import type { RegionMap } from '#regions';

/** Events read at once. */
const PAGE_ROWS = 1000;

/** Which part of a history to write. */
export interface ExportedPart {
  readonly since: Date;
  readonly until: Date;
  /** Lines at most. */
  readonly limit: number;
}

/**
 * Writes what happened here in the formats that `npm run replay` reads: the images that are there and those that are gone, as far as they were whole; the regions; and the events of those images in
 * the order of time. Nothing else is known of them: an image that never was whole is in neither.
 */
export class ExportedHistory {
  readonly #history: PullHistory;
  readonly #facts: Pick<PlacementFacts, 'images' | 'regions'>;
  readonly #regions: RegionMap;

  constructor(parts: { readonly history: PullHistory; readonly facts: Pick<PlacementFacts, 'images' | 'regions'>; readonly regions: RegionMap }) {
    this.#history = parts.history;
    this.#facts = parts.facts;
    this.#regions = parts.regions;
  }

  /** The catalogue, a line for each image. */
  async *catalogue(): AsyncGenerator<string, void> {
    for (const image of await this.#images()) yield `${formatReplayImage(image)}\n`;
  }

  /** The regions, as one JSON object. */
  async regions(): Promise<string> {
    const { home } = this.#regions;
    const places = (await this.#facts.regions()).filter((place) => !place.home);
    const regions = places.map(({ region, capacityBytes }) => ({ region, usdPerGb: this.#regions.link(home, region).pricePerGb, capacityBytes }));
    return `${JSON.stringify({ home, regions })}\n`;
  }

  /** The events of a time, a line each. */
  async *events({ since, until, limit }: ExportedPart): AsyncGenerator<string, void> {
    const known = new Set((await this.#images()).map(imageKey));
    let [after, left]: [HistoryMark | undefined, number] = [undefined, limit];
    do {
      const page: Awaited<ReturnType<PullHistory['events']>> = await this.#history.events({ since, until, limit: PAGE_ROWS, ...(after === undefined ? {} : { after }) });
      for (const event of page.events) {
        const replayed = this.#replayed(event);
        if (replayed === undefined || !known.has(imageKey({ repository: event.repository, digest: event.image }))) continue;
        if (left === 0) return;
        left -= 1;
        yield `${formatReplayEvent(replayed)}\n`;
      }
      after = page.next;
    } while (after !== undefined);
  }

  async #images(): Promise<ReplayImage[]> {
    const { placeable } = await this.#facts.images(REPLAY_IMAGES_MAX);
    const images = new Map<string, ReplayImage>(placeable.map(({ repository, digest, layers }) => [imageKey({ repository, digest }), { repository, digest, layers }]));
    for (let after: ReplayImage | undefined; images.size < REPLAY_IMAGES_MAX; ) {
      const gone: readonly ReplayImage[] = await this.#history.goneImages(after, PAGE_ROWS);
      for (const image of gone) if (!images.has(imageKey(image)) && images.size < REPLAY_IMAGES_MAX) images.set(imageKey(image), image);
      after = gone.at(-1);
      if (after === undefined) break;
    }
    return [...images.values()];
  }

  /** Pushes and deletions are made at home; what happened in a region that is not one any more is left out. */
  #replayed(event: HistoryEvent): ReplayEvent | undefined {
    const { kind, at, repository, image, region = this.#regions.home } = event;
    if (!this.#regions.has(region)) return undefined;
    const of = { at, region, repository, image };
    if (kind === 'pull') return { kind, ...of, client: event.client ?? 'unknown' };
    // A pin at home places nothing.
    if (kind === 'pin') return region === this.#regions.home ? undefined : { kind, ...of, ...(event.until === undefined ? {} : { until: event.until }) };
    return { kind, ...of };
  }
}
