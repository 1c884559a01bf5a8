import { describe, expect, it } from 'vitest';

import { CallerNetworks } from './caller-networks.js';

const NETWORKS = new CallerNetworks([
  { share: 'east', networks: ['10.4.0.0/16', 'fd00:4::/32'], folders: [{ path: '/mnt/layers', networks: ['10.4.7.0/24'] }, { path: '/srv/layers', networks: ['10.4.7.9'] }] },
  { share: 'west', networks: ['10.5.0.0/16', '10.4.7.8/32'], folders: [] },
  { share: 'plain', networks: [], folders: [] },
]);
const seen = (address: string): unknown => {
  const network = NETWORKS.of(address);
  return network === undefined ? undefined : { shares: [...network.shares], folders: [...network.folders] };
};

describe('CallerNetworks', () => {
  it('tells the shares in whose networks an address is, and where its host has them mounted', () => {
    expect(seen('10.4.1.1')).toEqual({ shares: ['east'], folders: [] });
    expect(seen('10.4.7.8')).toEqual({ shares: ['east', 'west'], folders: [['east', '/mnt/layers']] });
    expect(seen('fd00:4::1')).toEqual({ shares: ['east'], folders: [] });
  });

  it('takes the first folder where several are told', () => {
    expect(seen('10.4.7.9')).toEqual({ shares: ['east'], folders: [['east', '/mnt/layers']] });
  });

  it('reads an IPv4 address as sockets for both families write it', () => {
    expect(NETWORKS.of('::ffff:10.5.0.1')).toBe(NETWORKS.of('10.5.200.1'));
  });

  it.each(['192.0.2.1', 'fd00:5::1', '10.6.0.1', '', 'localhost', '10.4.1', '10.4.1.1:443', '10.4.1.1, 10.5.0.1'])('says nothing of %j', (address) => {
    expect(NETWORKS.of(address)).toBeUndefined();
  });

  it('says nothing of an address that is not known', () => {
    expect(NETWORKS.of(undefined)).toBeUndefined();
  });
});
