import { z } from 'zod';

import { isRegionName } from '#regions';

import { bytes, bytesIfGiven } from './quantity-fields.js';

/** A region's name. */
export const regionName = z.string().refine(isRegionName, 'must be a region name: lower-case letters, digits and hyphens, 1 to 64 characters');

/** IP addresses and networks of clients. */
export const networks = z.array(z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], { error: 'must be IP addresses or networks such as 10.0.0.0/8' })).max(100);

/** One region, and its share. */
export const region = z.strictObject({
  name: regionName,
  displayName: z.string().min(1).max(100).optional(),
  share: z
    .strictObject({
      capacity: bytes('32GiB'),
      account: z.string().regex(/^[a-z0-9]{3,24}$/, 'must be a storage account name: 3 to 24 lower-case letters and digits').optional(),
      shareName: z.string().regex(/^[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]$/, 'must be a share name: 3 to 63 lower-case letters, digits and single hyphens').default('layers'),
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
      smbHost: z.string().regex(/^[A-Za-z0-9.-]+$/).optional(),
      protocol: z.enum(['smb', 'nfs']).default('smb'),
      nfsExport: z.string().max(1024).regex(/^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\/(?:[^\s/]+(?:\/[^\s/]+)*)?$/, 'must be an export such as nfs.example.com:/layers').optional(),
      networks: networks.default([]),
      folders: z
        .array(z.strictObject({ path: z.string().max(1024).regex(/^\/[^\0]*$/, 'must be an absolute path'), networks: networks.min(1) }))
        .max(32)
        .default([]),
      throughputIn: bytesIfGiven('100MiB'),
      throughputOut: bytesIfGiven('100MiB'),
    })
    .prefault({}),
});

/** What one way between two regions is like. */
export const link = z.strictObject({
  from: regionName,
  to: regionName,
  roundTripMs: z.number().positive().max(10_000),
  throughput: bytes('250MB'),
  pricePerGb: z.number().min(0).max(100),
});

/** The regions where none are named. */
export const defaultRegions = [{ name: 'westeurope' }, { name: 'eastus' }, { name: 'southeastasia' }];

/** The regions, as far as they may contradict each other. */
export interface RegionsShape {
  readonly home: string;
  readonly list: readonly z.infer<typeof region>[];
  readonly links: readonly z.infer<typeof link>[];
}

/** What holds the shares of all regions. */
export interface SharesShape {
  readonly kind: string;
  readonly credential?: string;
}

/** What does not go together in the settings of regions, of their links, and of their shares. */
export function regionContradictions(regions: RegionsShape, shares: SharesShape): { path: (string | number)[]; message: string }[] {
  const found: { path: (string | number)[]; message: string }[] = [];
  const names = regions.list.map((each) => each.name);
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) found.push({ path: ['regions', 'list', index, 'name'], message: `must be unique, and ${name} stands above` });
  });
  if (!names.includes(regions.home)) found.push({ path: ['regions', 'home'], message: `must be one of the regions in the list: ${names.join(', ')}` });
  regions.links.forEach((each, index) => {
    for (const end of ['from', 'to'] as const) {
      if (!names.includes(each[end])) found.push({ path: ['regions', 'links', index, end], message: `must be one of the regions in the list: ${names.join(', ')}` });
    }
  });
  regions.list.forEach(({ share }, index) => {
    const wrong = share.protocol === 'nfs' ? 'smbHost' : 'nfsExport';
    if (share[wrong] !== undefined) found.push({ path: ['regions', 'list', index, 'share', wrong], message: `must not be set for protocol ${share.protocol}` });
    if (share.protocol === 'nfs' && share.networks.length === 0) {
      found.push({ path: ['regions', 'list', index, 'share', 'networks'], message: 'must name the networks that may mount the share: NFS knows no credentials' });
    }
  });
  if (shares.kind === 'azure') {
    regions.list.forEach((each, index) => {
      if (shares.credential === 'identity' && each.share.endpoint?.startsWith('http:') === true) {
        found.push({ path: ['regions', 'list', index, 'share', 'endpoint'], message: 'must be https for shares.credential identity: tokens are not sent over plain http' });
      }
      if (each.share.account === undefined) found.push({ path: ['regions', 'list', index, 'share', 'account'], message: 'is required for shares.kind azure' });
    });
  }
  return found;
}
