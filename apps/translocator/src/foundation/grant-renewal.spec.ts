import { Writable } from 'node:stream';

import { expect, it } from 'vitest';

import { MemoryShare } from '#shares/testing';
import { createLogger } from '#telemetry';

import { GrantRenewal } from './grant-renewal.js';

it('asks every share, whatever becomes of the others, and tells of those that have nothing to sign with', async () => {
  const lines: string[] = [];
  const logger = createLogger('info', new Writable({ write: (line, _encoding, done) => done(void lines.push(String(line))) }));
  const shares = ['a', 'b', 'c'].map((name) => new MemoryShare({ name }));
  shares[0]!.failNext('renewGrants', 'SHARE_DENIED');
  await new GrantRenewal(shares, logger).renew();
  expect(shares.map((share) => share.calls.map((call) => call.operation))).toEqual([['renewGrants'], ['renewGrants'], ['renewGrants']]);
  expect(lines.map((line) => JSON.parse(line) as { share: string })).toMatchObject([{ share: 'a' }]);
});
