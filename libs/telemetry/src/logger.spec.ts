import { describe, expect, it } from 'vitest';

import { CodedError } from '#errors';

import { createLogger, loggedError, type Logger } from './logger.js';

class KitchenError extends CodedError<'STOVE_COLD'> {}

function listen(level = 'info'): { readonly log: Logger; readonly lines: Record<string, unknown>[]; readonly text: () => string } {
  const written: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const log = createLogger(level, {
    write: (line: string) => {
      written.push(line);
      lines.push(JSON.parse(line) as Record<string, unknown>);
    },
  });
  return { log, lines, text: () => written.join('') };
}

describe('the log', () => {
  it('writes one JSON object a line, with the level by name and the time in RFC 3339', () => {
    const { log, lines } = listen();
    log.info({ repository: 'team/app', layers: 3 }, 'an image was recorded');
    log.debug('not at this level');
    expect(lines).toEqual([{ level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), repository: 'team/app', layers: 3, msg: 'an image was recorded' }]);
  });

  it('replaces what is named like a secret, however deep it stands', () => {
    const { log, lines, text } = listen();
    log.info({
      authorization: 'hush-1', token: 'hush-2', password: 'hush-3', accountKey: 'hush-4',
      request: { headers: { Authorization: 'hush-5', 'proxy-authorization': 'hush-6', cookie: 'hush-7', accept: '*/*' } },
      shares: [{ region: 'eastus', credentials: { account_key: 'hush-8', sig: 'hush-9' } }],
      config: { secrets: [{ adminToken: 'hush-10', clientSecret: 'hush-11', databasePassword: 'hush-12' }] },
      tokens: 4,
    });
    expect(text()).not.toContain('hush');
    expect(lines[0]).toMatchObject({
      request: { headers: { Authorization: '[secret]', accept: '*/*' } }, shares: [{ region: 'eastus', credentials: { account_key: '[secret]', sig: '[secret]' } }], tokens: 4,
    });
  });

  it('takes secrets out of texts: signatures and passwords in URLs, and what follows an authentication scheme', () => {
    const { log, lines, text } = listen();
    log.info({ source: 'https://a.file.core.windows.net/layers/x.vhd?sv=2026&SIG=hush%2B1&se=5', deep: { list: ['copy of /x?sig=hush2'] } }, 'from https://h/x?se=1&sig=hush3&sp=r');
    log.warn(new Error('postgres://service:hush4@db.example/translocator is away'), 'Bearer hush-5678.90 was shown');
    log.child({ url: 'https://h/x?sig=hush6' }).info({ url: new URL('https://h/x?sig=hush7') }, 'Basic aHVzaDpodXNo and basic words stay');
    expect(text()).not.toMatch(/hush|aHVzaDpodXNo/);
    expect(lines[0]).toMatchObject({ source: 'https://a.file.core.windows.net/layers/x.vhd?sv=2026&SIG=[secret]&se=5', msg: 'from https://h/x?se=1&sig=[secret]&sp=r' });
    expect(lines[1]).toMatchObject({ msg: 'Bearer [secret] was shown' });
    expect(text()).toContain('postgres://service:[secret]@db.example/translocator');
    expect(text()).toContain('basic words stay');
  });

  it('shows an error with its code, its details and the chain of its causes', () => {
    const { log, lines } = listen();
    const cause = new Error('gas from https://h/x?sig=hush', { cause: new Error('no pipe') });
    log.error({ error: new KitchenError('STOVE_COLD', 'the stove is cold', { cause, details: { stove: 2, keys: { accountKey: 'hush' } } }) }, 'no dinner');
    expect(lines[0]?.['error']).toEqual({
      name: 'KitchenError', code: 'STOVE_COLD', message: 'the stove is cold', details: { stove: 2, keys: { accountKey: '[secret]' } },
      cause: { name: 'Error', message: 'gas from https://h/x?sig=[secret]', cause: { name: 'Error', message: 'no pipe' } },
    });
  });

  it('shows the stack of an error that nobody gave a code, and of no other', () => {
    expect(loggedError(new TypeError('defect'))).toMatchObject({ name: 'TypeError', stack: expect.stringContaining('logger.spec') });
    expect(loggedError(new KitchenError('STOVE_COLD', 'cold'))).not.toHaveProperty('stack');
    expect(loggedError('thrown text?sig=hush')).toBe('thrown text?sig=[secret]');
  });

  it('comes to an end with causes and objects that go in circles', () => {
    const { log, lines } = listen();
    const error = new Error('it caused itself');
    error.cause = error;
    const circle: Record<string, unknown> = { token: 'hush' };
    circle['again'] = { circle };
    log.error({ error, circle });
    expect(JSON.stringify(lines[0]?.['error']).match(/it caused itself/g)?.length).toBeLessThan(20);
    expect(lines[0]?.['circle']).toEqual({ token: '[secret]', again: { circle: '[circular]' } });
  });
});
