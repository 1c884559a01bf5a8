import { LinkLedger, type LinkName, type LinkUsage } from '../link-ledger.js';

/** Bytes per link and day in memory. */
export class MemoryLinkLedger extends LinkLedger {
  readonly #bytes = new Map<string, LinkUsage & { readonly day: string }>();

  async reserve(link: LinkName, day: string, bytes: number, limitBytes: number): Promise<number> {
    const key = `${day} ${link.from} ${link.to}`;
    const used = this.#bytes.get(key)?.bytes ?? 0;
    const granted = Math.max(0, Math.min(bytes, limitBytes - used));
    this.#bytes.set(key, { from: link.from, to: link.to, day, bytes: used + granted });
    return granted;
  }

  async usage(day: string): Promise<LinkUsage[]> {
    const keys = [...this.#bytes.keys()].toSorted();
    const all = keys.flatMap((key) => this.#bytes.get(key) ?? []).filter((usage) => usage.day === day && usage.bytes > 0);
    return all.map(({ from, to, bytes }) => ({ from, to, bytes }));
  }

  async prune(beforeDay: string, limit: number): Promise<number> {
    const old = [...this.#bytes.entries()].filter(([, usage]) => usage.day < beforeDay).map(([key]) => key).toSorted().slice(0, limit);
    for (const key of old) this.#bytes.delete(key);
    return old.length;
  }
}
