import { describe, expect, it } from 'vitest';

import { clientOf, NODE_NAME_LENGTH_MAX } from './pull-telemetry.js';

const from = (ip: string, headers: Record<string, string>): string => clientOf({ ip, headers });

describe('the name of a client', () => {
  it('is that which the node gives itself, wherever it comes from', () => {
    expect(from('10.0.0.1', { 'x-teleport-node': 'node-7', 'user-agent': 'orca' })).toBe(from('10.0.0.2', { 'x-teleport-node': ' node-7 ' }));
    expect(from('10.0.0.1', { 'x-teleport-node': 'node-7' })).not.toBe(from('10.0.0.1', { 'x-teleport-node': 'node-8' }));
  });

  it('is made of address and user agent for a node without a name, an empty one, or one that is too long', () => {
    const unnamed = from('10.0.0.1', { 'user-agent': 'orca' });
    expect(unnamed).not.toBe(from('10.0.0.2', { 'user-agent': 'orca' }));
    for (const name of ['', '  ', 'n'.repeat(NODE_NAME_LENGTH_MAX + 1)]) expect(from('10.0.0.1', { 'user-agent': 'orca', 'x-teleport-node': name })).toBe(unnamed);
  });

  it('says nothing of what it was made from', () => {
    expect(from('10.0.0.1', { 'x-teleport-node': 'node-7' })).toMatch(/^[\w-]{22}$/);
  });
});
