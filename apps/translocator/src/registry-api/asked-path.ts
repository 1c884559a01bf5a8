import { parseRelayedPath, RELAYED_PATH_LENGTH_MAX, type RelayedPath } from '#registry';

/** What a request to the registry's routes asks for. */
export interface AskedPath extends RelayedPath {
  /** The query as it goes on, with its question mark, or empty: without `ns`. */
  readonly query: string;
  /** The registry that a client means which asks several (distribution-spec, "Registry proxying"); containerd's `?ns=`. */
  readonly namespace: string | undefined;
}

/** Reads a request's target; undefined when it must not be passed on, or names two registries. */
export function readAskedPath(target: string): AskedPath | undefined {
  const [path = '', ...rest] = target.split('?');
  const query = rest.join('?');
  if (!/^[\x21-\x7e]*$/.test(query) || target.length > RELAYED_PATH_LENGTH_MAX) return undefined;
  const relayed = parseRelayedPath(path);
  if (relayed === undefined) return undefined;
  const parts = query.split('&').filter((part) => part !== '');
  const kept = parts.filter((part) => part !== 'ns' && !part.startsWith('ns='));
  const names = new Set(new URLSearchParams(parts.filter((part) => !kept.includes(part)).join('&')).getAll('ns'));
  if (names.size > 1) return undefined;
  const [namespace] = names;
  return { ...relayed, query: kept.length === 0 ? '' : `?${kept.join('&')}`, namespace };
}
