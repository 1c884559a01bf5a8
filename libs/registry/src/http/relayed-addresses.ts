import { type Challenge, parseChallenges } from './challenge.js';
import type { HeaderFields, RelayedCaller } from './relayed-headers.js';

/** How addresses in a registry's answers are changed for a client that speaks to this service. */
export interface AddressView {
  /** The registry's URL, its path ending in a slash. */
  readonly registry: URL;
  readonly caller: RelayedCaller;
  /** The `realm` of Bearer challenges; undefined leaves the registry's own. */
  readonly realm: string | undefined;
}

/**
 * The headers of an answer as the client must see them: `Location` and `Link` that lead to the registry lead to this service, by the name that the client calls it by; what
 * leads elsewhere, such as to a store of blobs, stays as it is.
 */
export function addressesForClient(headers: HeaderFields, view: AddressView): HeaderFields {
  const changed: HeaderFields = { ...headers };
  if (typeof headers['location'] === 'string') changed['location'] = addressForClient(headers['location'], view);
  if (typeof headers['link'] === 'string') changed['link'] = headers['link'].replaceAll(/<([^<>]*)>/g, (_all, target: string) => `<${addressForClient(target, view)}>`);
  const challenge = headers['www-authenticate'];
  if (challenge !== undefined && view.realm !== undefined) changed['www-authenticate'] = withRealm([challenge].flat().join(', '), view.realm);
  return changed;
}

/** One address for the client; relative ones lose only the path that stands in front of `/v2/` at the registry. */
export function addressForClient(address: string, { registry, caller }: AddressView): string {
  const base = registry.pathname;
  if (address.startsWith('/') && !address.startsWith('//')) return address.startsWith(base) ? `/${address.slice(base.length)}` : address;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return address;
  // Behind something that ends TLS a registry may think that it is asked by http; a registry that heeds X-Forwarded-Host writes the client's own name.
  const ours = url.hostname === registry.hostname && (url.port === registry.port || url.port === '');
  if (!ours || !url.pathname.startsWith(base)) return address;
  return `${caller.protocol}://${caller.host}/${url.pathname.slice(base.length)}${url.search}`;
}

/** The text of a `WWW-Authenticate` header with another realm in its Bearer challenges; others stay. */
export function withRealm(header: string, realm: string): string {
  const challenges = parseChallenges(header);
  if (!challenges.some(({ scheme }) => scheme === 'bearer')) return header;
  return challenges.map((challenge) => formatChallenge(challenge.scheme === 'bearer' ? { ...challenge, parameters: { ...challenge.parameters, realm } } : challenge)).join(', ');
}

function formatChallenge({ scheme, parameters }: Challenge): string {
  const written = Object.entries(parameters).map(([name, value]) => `${name}="${value.replaceAll(/["\\]/g, '\\$&')}"`);
  return [scheme.replace(/^./, (first) => first.toUpperCase()), written.join(',')].filter((part) => part !== '').join(' ');
}
