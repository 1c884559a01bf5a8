import { RegistryError } from '../registry-error.js';

/** The URL of a registry, its path ending in a slash. @throws {RegistryError} `REGISTRY_PROTOCOL` when it is not http or https, or holds a password. */
export function parseRegistryUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new RegistryError('REGISTRY_PROTOCOL', 'the registry needs an http or https URL without credentials');
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}
