import { describe, expect, it } from 'vitest';

import { after } from '#clock';
import { ManualClock } from '#clock/testing';

import { covers, TokenBook } from './token-book.js';
import { aKeptToken, aServiceToken } from './testing/service-token-builder.js';
import { newSecretText } from './secret-text.js';

const ADMIN = { actor: 'admin', secretText: 'the-admin-token-of-the-environment', scopes: ['lookup', 'admin:write'] } as const;
const startedAt = new Date('2026-01-01T00:00:00.000Z');

function bookWith(...kept: readonly ReturnType<typeof aKeptToken>[]): { book: TokenBook; clock: ManualClock } {
  const clock = new ManualClock(startedAt);
  const book = new TokenBook({ clock, bootstrap: [ADMIN] });
  book.replace({ tokens: kept });
  return { book, clock };
}
const refused = (reason: string) => ({ kind: 'refused', reason });

describe('a token book', () => {
  it('lets in who shows a token that it knows, for the scopes of that token only', () => {
    const kept = aKeptToken({ scopes: ['lookup', 'leases'] });
    const { book } = bookWith(kept);
    expect(book.check(kept.authorization, 'lookup')).toMatchObject({ kind: 'allowed', caller: { actor: `token:${kept.token.id}`, name: 'registry' } });
    expect(book.check(kept.authorization.replace('Bearer', 'bearer'), 'leases').kind).toBe('allowed');
    for (const scope of ['rewrite', 'notify', 'admin:read', 'admin:write'] as const) expect(book.check(kept.authorization, scope)).toEqual(refused('scope'));
  });

  it('lets who may change look, and not the other way round', () => {
    const [writer, reader] = [aKeptToken({ scopes: ['admin:write'] }), aKeptToken({ scopes: ['admin:read'] })];
    const { book } = bookWith(writer, reader);
    expect([book.check(writer.authorization, 'admin:read').kind, book.check(reader.authorization, 'admin:write')]).toEqual(['allowed', refused('scope')]);
  });

  it('lets nobody in with another secret, another id, a changed letter, or what is no bearer token', () => {
    const [kept, other] = [aKeptToken(), aKeptToken()];
    const { book } = bookWith(kept, other);
    const text = kept.authorization.slice('Bearer '.length);
    const [id, secret] = [text.slice(4, 36), text.slice(37)];
    const wrong = [
      `Bearer ${newSecretText(kept.token.id)}`,
      `Bearer tl1_${other.token.id.replaceAll('-', '')}_${secret}`,
      `Bearer tl1_${id}_${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`,
      `Bearer ${text}x`,
      `Bearer ${text.toUpperCase()}`,
      `Bearer ${Buffer.from(kept.secretHash).toString('hex')}`,
    ];
    for (const authorization of wrong) expect(book.check(authorization, 'lookup')).toEqual(refused('unknown'));
    for (const authorization of ['', 'Bearer', 'Bearer ', `Basic ${text}`, `Bearer ${text} `, `Bearer ${text}, Bearer x`, `Bearer x\r\ny`, `Bearer ${'x'.repeat(20_000)}`]) {
      expect(book.check(authorization, 'lookup')).toEqual(refused('malformed'));
    }
    expect(book.check(undefined, 'lookup')).toEqual(refused('missing'));
  });

  it('ends a token at its expiry, also when nobody tells it anything any more', async () => {
    const kept = aKeptToken({ createdAt: startedAt, expiresAt: after(startedAt, 1000) });
    const { book, clock } = bookWith(kept);
    await clock.advance(999);
    expect(book.check(kept.authorization, 'lookup').kind).toBe('allowed');
    await clock.advance(1);
    expect(book.check(kept.authorization, 'lookup')).toEqual(refused('expired'));
  });

  it('keeps the tokens of the environment whatever is read, and forgets those that are read no more', () => {
    const kept = aKeptToken();
    const { book } = bookWith(kept);
    book.replace({ tokens: [] });
    expect(book.check(kept.authorization, 'lookup')).toEqual(refused('unknown'));
    expect(book.check(`Bearer ${ADMIN.secretText}`, 'admin:read')).toMatchObject({ kind: 'allowed', caller: { actor: 'admin' } });
    expect(book.check(`Bearer ${ADMIN.secretText}`, 'notify')).toEqual(refused('unknown'));
  });

  it('asks nobody for a scope that is open', () => {
    const book = new TokenBook({ clock: new ManualClock(), bootstrap: [ADMIN], open: ['notify'] });
    for (const authorization of [undefined, 'Bearer made-up', `Bearer ${ADMIN.secretText}`]) expect(book.check(authorization, 'notify').kind).toBe('allowed');
    expect(book.check(undefined, 'lookup').kind).toBe('refused');
  });

  it('gives the same verdict again, not a new one: a check leaves nothing behind', () => {
    const kept = aKeptToken();
    const { book } = bookWith(kept);
    expect(book.check(kept.authorization, 'lookup')).toBe(book.check(kept.authorization, 'lookup'));
    expect(book.check('Bearer no', 'lookup')).toBe(book.check('Bearer neither', 'lookup'));
  });

  it('tells once when tokens were last let in, also over a new reading', async () => {
    const [used, unused] = [aKeptToken(), aKeptToken()];
    const { book, clock } = bookWith(used, unused);
    book.check(used.authorization, 'lookup');
    await clock.advance(500);
    book.check(used.authorization, 'lookup');
    book.check(used.authorization, 'notify');
    book.replace({ tokens: [used, unused] });
    expect([...book.takeUses()]).toEqual([[used.token.id, after(startedAt, 500)]]);
    expect(book.takeUses().size).toBe(0);
  });
});

describe('what a token covers', () => {
  const limited = aServiceToken({ repositories: ['base', 'team/*'], regions: ['eastus'] });
  const caller = { actor: 'x', name: 'x', scopes: limited.scopes };

  it('is everything when it names nothing', () => {
    expect(covers(caller, {})).toBe(true);
    expect(covers(caller, { repository: 'any/thing', region: 'mars' })).toBe(true);
  });

  it('is what it names, and never what is not named', () => {
    const { repositories, regions } = limited;
    expect(covers({ ...caller, repositories }, { repository: 'team/app' })).toBe(true);
    for (const repository of ['team', 'teams/app', 'base/app', 'other', undefined]) expect(covers({ ...caller, repositories }, { repository })).toBe(false);
    expect(covers({ ...caller, regions }, { region: 'eastus' })).toBe(true);
    for (const region of ['westeurope', undefined]) expect(covers({ ...caller, regions }, { region })).toBe(false);
  });
});
