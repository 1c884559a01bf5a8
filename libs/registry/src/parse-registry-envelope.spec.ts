import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf, OCI_MANIFEST } from '#oci';

import { isRegistryEnvelope, NOTIFICATION_BYTES_MAX, NOTIFICATION_EVENTS_MAX, parseRegistryEnvelope } from './parse-registry-envelope.js';
import { RegistryError } from './registry-error.js';
import { isManifestPull, referenceToExamine } from './registry-event.js';

const digest = digestOf('manifest');
const event = (extra: object = {}, target: object = {}): object => ({
  id: '320678d8-ca14-430f-8bb6-4ca139cd83f7',
  timestamp: '2026-03-01T12:00:00.123456789Z',
  action: 'push',
  target: { mediaType: OCI_MANIFEST, size: 708, digest, length: 708, repository: 'team/app', url: 'http://registry/v2/', tag: 'v1', ...target },
  request: { id: 'r', addr: '192.0.2.7:41982', host: 'registry', method: 'PUT', useragent: 'skopeo/1.9' },
  actor: { name: 'ci' },
  source: { addr: 'registry:5000', instanceID: 'i' },
  ...extra,
});
const parse = (...events: unknown[]): ReturnType<typeof parseRegistryEnvelope> => parseRegistryEnvelope(Buffer.from(JSON.stringify({ events })));
const first = (entry: object): NonNullable<ReturnType<typeof parse>['events'][0]> => {
  const [parsed] = parse(entry).events;
  if (parsed === undefined) throw new Error('skipped');
  return parsed;
};
const code = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error instanceof RegistryError ? error.code : error;
  }
};

describe('a registry\'s notification', () => {
  it('gives what happened to what, when, and for whom', () => {
    expect(parse(event())).toEqual({
      skippedCount: 0,
      events: [
        {
          id: '320678d8-ca14-430f-8bb6-4ca139cd83f7',
          action: 'push',
          repository: 'team/app',
          at: new Date('2026-03-01T12:00:00.123Z'),
          digest,
          tag: 'v1',
          mediaType: OCI_MANIFEST,
          from: { address: '192.0.2.7:41982', userAgent: 'skopeo/1.9' },
        },
      ],
    });
  });

  it('is known by its content type in both versions', () => {
    expect(isRegistryEnvelope('application/vnd.docker.distribution.events.v1+json')).toBe(true);
    expect(isRegistryEnvelope('application/vnd.docker.distribution.events.v2+json; charset=utf-8')).toBe(true);
    expect(isRegistryEnvelope('application/cloudevents+json')).toBe(false);
  });

  it.each([
    ['no id', event({ id: undefined })],
    ['an action of its own', event({ action: 'scan' })],
    ['no time', event({ timestamp: 'soon' })],
    ['no repository', event({}, { repository: '' })],
    ['a repository outside the grammar', event({}, { repository: '../etc' })],
    ['a digest of another algorithm', event({}, { digest: 'sha512:00' })],
    ['a tag outside the grammar', event({}, { tag: '../up' })],
    ['no target', event({ target: null })],
    ['nothing at all', null],
  ])('skips and counts an event with %s, and keeps the others', (_case, bad) => {
    const { events, skippedCount } = parse(bad, event());
    expect(events).toHaveLength(1);
    expect(skippedCount).toBe(1);
  });

  it('is not picky about what it does not need', () => {
    const { events } = parse(event({ request: 'none', actor: 7, more: {} }, { size: 'big', mediaType: 5, tag: '', digest: null }));
    expect(events).toHaveLength(1);
    expect(events[0]).not.toHaveProperty('tag');
    expect(parseRegistryEnvelope(Buffer.from('{}'))).toEqual({ events: [], skippedCount: 0 });
  });

  it('that is no envelope, or beyond a limit, is refused with a code', () => {
    for (const bad of ['{', '[]', '"x"', '{"events":7}', '\u0000']) expect(code(() => parseRegistryEnvelope(Buffer.from(bad)))).toBe('NOTIFICATION_INVALID');
    expect(code(() => parseRegistryEnvelope(Buffer.alloc(NOTIFICATION_BYTES_MAX + 1, ' ')))).toBe('NOTIFICATION_TOO_LARGE');
    expect(code(() => parse(...Array.from({ length: NOTIFICATION_EVENTS_MAX + 1 }, () => null)))).toBe('NOTIFICATION_TOO_LARGE');
  });

  it('of any JSON is read or refused with a code, never anything else', () => {
    const bodies = fc.oneof(fc.json(), fc.array(fc.jsonValue()).map((events) => JSON.stringify({ events })));
    fc.assert(
      fc.property(bodies, (body) => {
        const result = code(() => parseRegistryEnvelope(Buffer.from(body)));
        expect(typeof result === 'string' || Array.isArray((result as { events?: unknown }).events)).toBe(true);
      }),
    );
  });
});

describe('an event', () => {
  it('of a pushed or deleted manifest names what to examine', () => {
    expect(referenceToExamine(first(event()))).toBe('v1');
    expect(referenceToExamine(first(event({}, { tag: undefined })))).toBe(digest);
    expect(referenceToExamine(first(event({ action: 'delete' }, { tag: undefined, mediaType: undefined })))).toBe(digest);
    expect(referenceToExamine(first(event({ action: 'delete' }, { digest: undefined, mediaType: undefined })))).toBe('v1');
  });

  it('of a tag that moved to something unknown names the tag', () => {
    expect(referenceToExamine(first(event({}, { mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws' })))).toBe('v1');
  });

  it('of a blob, a mount or a pull names nothing', () => {
    expect(referenceToExamine(first(event({}, { tag: undefined, mediaType: 'application/octet-stream' })))).toBeUndefined();
    expect(referenceToExamine(first(event({ action: 'mount' }, { tag: undefined, mediaType: 'application/octet-stream' })))).toBeUndefined();
    const pull = first(event({ action: 'pull' }));
    expect(referenceToExamine(pull)).toBeUndefined();
    expect(isManifestPull(pull)).toBe(true);
    expect(isManifestPull(first(event({ action: 'pull' }, { mediaType: 'application/octet-stream' })))).toBe(false);
  });
});
