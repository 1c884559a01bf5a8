import type { UserDelegationKey } from '@azure/storage-file-share';
import { beforeEach, describe, expect, it } from 'vitest';

import { ManualClock } from '#clock/testing';
import { DAY_MS, MINUTE_MS } from '#quantities';

import { DelegationKeys } from './delegation-keys.js';

let clock: ManualClock;
let fetched: UserDelegationKey[];
let refuse: Error | undefined;
let keys: DelegationKeys;
beforeEach(() => {
  clock = new ManualClock();
  fetched = [];
  refuse = undefined;
  keys = new DelegationKeys(async (signedStartsOn, signedExpiresOn) => {
    await Promise.resolve();
    if (refuse !== undefined) throw refuse;
    const fields = { signedObjectId: 'me', signedTenantId: 'tenant', signedService: 'f', signedVersion: '2026-04-06', signedDelegatedUserTenantId: '' };
    fetched.push({ ...fields, signedStartsOn, signedExpiresOn, value: `${fetched.length}` });
    return fetched.at(-1)!;
  }, clock);
});

describe('user delegation keys', () => {
  it('are fetched once for all who ask at the same time, and hold less than the seven days that are given', async () => {
    expect(keys.current).toBeUndefined();
    await Promise.all(Array.from({ length: 5 }, () => keys.renew()));
    expect(fetched).toHaveLength(1);
    const { signedStartsOn, signedExpiresOn } = keys.current!;
    expect(signedStartsOn < clock.now()).toBe(true);
    expect(signedExpiresOn.getTime() - signedStartsOn.getTime()).toBeLessThan(7 * DAY_MS);
  });

  it('are renewed when half their life is over, not before', async () => {
    await keys.renew();
    await clock.advance(2.9 * DAY_MS);
    await keys.renew();
    expect(fetched).toHaveLength(1);
    await clock.advance(0.2 * DAY_MS);
    await keys.renew();
    expect(fetched).toHaveLength(2);
    expect(keys.current?.value).toBe('1');
  });

  it('serve on when they cannot be renewed, which is tried again after a minute', async () => {
    await keys.renew();
    await clock.advance(4 * DAY_MS);
    refuse = new Error('no role');
    await keys.renew();
    expect(keys.current?.value).toBe('0');
    refuse = undefined;
    await keys.renew();
    expect(fetched).toHaveLength(1);
    await clock.advance(MINUTE_MS);
    await keys.renew();
    expect(keys.current?.value).toBe('1');
  });

  it('are not there when they are over, and then the failure is told', async () => {
    await keys.renew();
    await clock.advance(6 * DAY_MS);
    expect(keys.current).toBeUndefined();
    refuse = new Error('no role');
    await expect(keys.renew()).rejects.toThrow('no role');
    refuse = undefined;
    await keys.renew();
    expect(keys.current?.value).toBe('1');
  });
});
