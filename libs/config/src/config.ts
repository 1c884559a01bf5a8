import { z } from 'zod';

import { EVENT_TYPES } from '#events';
import { isRepositoryPattern } from '#oci';
import { PLACEMENT_PARAMETERS_DEFAULT } from '#placement';
import { DAY_MS, GiB, HOUR_MS, MINUTE_MS, SECOND_MS } from '#quantities';

import { gatewayContradictions, type GatewayShape, reactiveRatioOf } from './gateway-config.js';
import { bytes, duration } from './quantity-fields.js';
import { defaultRegions, link, networks, region, regionContradictions, regionName, type RegionsShape, type SharesShape } from './region-config.js';

/** Text that stands between quotes in a header. */
const quotable = z.string().min(1).max(256).regex(/^[\x21\x23-\x5b\x5d-\x7e ]+$/, 'must be printable text without quotes');
/** How tokens of the registry's token service are verified here, without asking the registry. */
const registryTokens = z.strictObject({
  realm: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(1024).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be printable text without quotes'),
  service: quotable,
  issuer: quotable.optional(),
  keys: z
    .array(z.union([z.strictObject({ jwks: z.url({ protocol: /^https?$/ }) }), z.strictObject({ file: z.string().min(1).max(4096) })], { error: 'must be { jwks: URL } or { file: PATH }' }))
    .min(1)
    .max(8),
  clockLeeway: duration('1m', 0, 5 * MINUTE_MS),
});

/** How the service is reached over TLS; without it, over plain http. */
const tls = z.strictObject({
  certificate: z.string().min(1).max(4096),
  key: z.string().min(1).max(4096),
  clientCa: z.string().min(1).max(4096).optional(),
  clientCertificates: z.enum(['none', 'optional', 'required']).default('none'),
  clients: z
    .array(
      z.strictObject({
        name: z.string().max(512).regex(/^(?:DNS:|URI:|IP:|email:|CN=)[\x21-\x7e ]+$/, 'must be a name in a certificate, such as DNS:registry.example.com, URI:spiffe://example.com/registry or CN=registry'),
        scopes: z.array(z.enum(['lookup', 'rewrite', 'leases', 'notify', 'admin:read', 'admin:write'])).min(1).max(6),
      }),
    )
    .max(100)
    .default([]),
  redirectPort: z.number().int().min(0).max(65_535).optional(),
});

/** Somebody who is told what happens. */
const webhook = z.strictObject({
  name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a name of lower-case letters, digits and hyphens'),
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .max(2048)
    .refine((url) => url.startsWith('https:') || /^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost)[:/]/.test(`${url}/`), 'must be https, except on loopback: events name repositories'),
  types: z.array(z.enum(EVENT_TYPES)).min(1).optional(),
});

const weights = PLACEMENT_PARAMETERS_DEFAULT;
/** Everything an operator may set, with its rules and defaults; secrets are not in it. The embedded default is this schema's answer to `{}`. */
export const configSchema = z
  .strictObject({
    server: z
      .strictObject({
        host: z.string().min(1).default('127.0.0.1'),
        port: z.number().int().min(0).max(65_535).default(8080),
        shutdownGrace: duration('20s', 0, 10 * MINUTE_MS),
        headersWithin: duration('10s', 100, MINUTE_MS),
        requestWithin: duration('30s', 100, HOUR_MS),
        tls: tls.optional(),
        trustedProxies: networks.default([]),
      })
      .prefault({}),
    roles: z.array(z.enum(['lookup', 'control', 'worker'])).min(1).default(['lookup', 'control', 'worker']),
    folder: z.string().min(1).default('.translocator'),
    log: z.strictObject({ level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info') }).prefault({}),
    database: z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('embedded') }),
        z.strictObject({ kind: z.literal('server'), poolSize: z.number().int().min(2).max(100).default(10) }),
      ])
      .default({ kind: 'embedded' }),
    registry: z
      .strictObject({
        url: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).default('http://127.0.0.1:5000'),
        username: z.string().min(1).max(256).optional(),
        platforms: z.array(z.string().regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9]+)?$/, 'must be a platform such as linux/arm64')).min(1).max(16).default(['linux/amd64', 'linux/arm64']),
        tokens: registryTokens.optional(),
        reexamineEvery: duration('6h', MINUTE_MS, 30 * DAY_MS),
        enable: z.array(z.string().refine(isRepositoryPattern, 'must be a repository name, or the beginning of one followed by *')).max(1000).default([]),
      })
      .prefault({}),
    gateway: z
      .strictObject({
        enabled: z.boolean().default(false),
        hosts: z.array(z.string().regex(/^[A-Za-z0-9.-]{1,253}(?::\d{1,5})?$/, 'must be a host name such as registry.example.com, with its port where clients write it')).max(100).default([]),
        realm: z.enum(['registry', 'own']).default('registry'),
        namespaceAnswerMax: duration('2s', 100, MINUTE_MS),
        concurrent: z.number().int().min(1).max(10_000).default(512),
        region: regionName.optional(),
        keep: z
          .strictObject({
            layers: z.boolean().optional(),
            spool: bytes('4GiB'),
            memory: bytes('256MiB', 64 * GiB),
            spooled: z.number().int().min(1).max(1000).default(32),
            within: duration('15m', SECOND_MS, HOUR_MS),
            expansions: z.number().int().min(1).max(16).default(1),
          })
          .prefault({}),
      })
      .prefault({}),
    regions: z
      .strictObject({
        home: regionName.default('westeurope'),
        list: z.array(region).min(1).max(100).prefault(defaultRegions),
        links: z.array(link).max(10_000).default([]),
        defaultLink: link.omit({ from: true, to: true }).default({ roundTripMs: 100, throughput: 250_000_000, pricePerGb: 0.05 }),
        nearRoundTripMaxMs: z.number().min(0).max(1000).default(10),
        farMounts: z.boolean().default(false),
      })
      .prefault({}),
    shares: z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('embedded'), port: z.number().int().min(0).max(65_535).default(11_004) }),
        z.strictObject({ kind: z.literal('azure'), credential: z.enum(['key', 'sas', 'identity']).default('key') }),
      ])
      .default({ kind: 'embedded', port: 11_004 }),
    expansion: z
      .strictObject({
        concurrency: z.number().int().min(1).max(64).default(2),
        claimLease: duration('1m', SECOND_MS, HOUR_MS),
        poll: duration('1s', 50, MINUTE_MS),
      })
      .prefault({}),
    replication: z
      .strictObject({
        concurrency: z.number().int().min(1).max(64).default(16),
        piecesInFlight: z.number().int().min(1).max(64).default(32),
        claimLease: duration('1m', SECOND_MS, HOUR_MS),
        poll: duration('1s', 50, MINUTE_MS),
        bytesPerLinkDay: bytes('10TiB'),
        scrubBytesPerDay: bytes('20GiB'),
        scrubEvery: duration('1m', 100, DAY_MS),
        unreferencedGrace: duration('1d', 0, 90 * DAY_MS),
        releaseEvery: duration('5m', 100, DAY_MS),
        fullPause: duration('5m', SECOND_MS, HOUR_MS),
        partialAgeMax: duration('1h', SECOND_MS, 7 * DAY_MS),
      })
      .prefault({}),
    leases: z.strictObject({ ttl: duration('15m', SECOND_MS, 7 * DAY_MS), drainMax: duration('1d', SECOND_MS, 365 * DAY_MS), forceClose: z.boolean().default(false) }).prefault({}),
    demand: z
      .strictObject({ flushEvery: duration('5s', 50, 10 * MINUTE_MS) })
      .prefault({}),
    events: z
      .strictObject({
        keep: duration('7d', MINUTE_MS, 90 * DAY_MS),
        webhooks: z
          .array(webhook)
          .max(20)
          .default([])
          .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'must have names of their own'),
      })
      .prefault({}),
    history: z
      .strictObject({
        pulls: z.boolean().default(false),
        keptFor: duration('30d', HOUR_MS, 365 * DAY_MS),
        eventsMax: z.number().int().min(1000).max(100_000_000).default(5_000_000),
      })
      .prefault({}),
    placement: z
      .strictObject({
        every: duration('15m', 100, DAY_MS),
        minimumExpectedPulls: z.number().min(0).max(1e6).default(weights.minimumExpectedPulls),
        turnLease: duration('1m', SECOND_MS, HOUR_MS),
        plansKept: z.number().int().min(1).max(10_000).default(96),
        forecastsKeptFor: duration('30d', DAY_MS, 365 * DAY_MS),
        leastExpectedPulls: z.number().min(0).max(1e6).default(weights.leastExpectedPulls),
        hitImages: z.number().min(0).max(1000).default(weights.hitImages),
        keepRatio: z.number().min(0).max(1).default(weights.keepRatio),
        heldBytesRatio: z.number().min(0.01).max(1).default(weights.heldBytesRatio),
        switchGainRatio: z.number().min(0).max(100).default(weights.switchGainRatio),
        gigabyteWeight: z.number().min(0).max(1000).default(weights.gigabyteWeight),
        firstPullWeight: z.number().min(0).max(1000).default(weights.firstPullWeight),
        smallLayer: bytes('1MB', GiB),
        smallLayersRatio: z.number().min(0).max(1).default(weights.smallLayersRatio),
        reactiveRatio: z.number().min(0).max(0.5).optional(),
        usdPerDay: z.number().min(0).max(1e9).optional(),
        pushReserveRatio: z.number().min(0).max(0.9).default(0.2),
      })
      .prefault({}),
    lookup: z
      .strictObject({
        followEvery: duration('500ms', 20, MINUTE_MS),
        staleMax: duration('10m', SECOND_MS, DAY_MS),
        probeEvery: duration('10s', SECOND_MS, HOUR_MS),
        busyAfter: duration('100ms', 20, 10 * SECOND_MS),
        registryPatience: duration('30ms', 5, 10 * SECOND_MS),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    for (const problem of contradictions(config)) context.addIssue({ code: 'custom', ...problem });
  })
  .transform((config) => ({ ...config, placement: { ...config.placement, reactiveRatio: reactiveRatioOf(config) } }));

/** The whole configuration, read and checked; durations in milliseconds, sizes in bytes. */
export type Config = z.infer<typeof configSchema>;
/** What a process does: answer pulls, decide, or carry bytes. */
export type Role = Config['roles'][number];

type Shape = {
  readonly server: { readonly tls?: z.infer<typeof tls> | undefined };
  readonly roles: readonly string[];
  readonly gateway: GatewayShape;
  readonly database: { readonly kind: string };
  readonly shares: SharesShape;
  readonly regions: RegionsShape;
};

/** What no single field can tell: fields that do not go together. */
function contradictions({ server, roles, gateway, database, shares, regions }: Shape): { path: (string | number)[]; message: string }[] {
  const found: { path: (string | number)[]; message: string }[] = [];
  if (server.tls !== undefined && (server.tls.clientCertificates === 'none') === (server.tls.clientCa !== undefined)) {
    found.push({ path: ['server', 'tls', 'clientCa'], message: 'must be set where clientCertificates is optional or required, and only there' });
  }
  if (server.tls !== undefined && server.tls.clients.length > 0 && server.tls.clientCertificates === 'none') {
    found.push({ path: ['server', 'tls', 'clients'], message: 'must be empty while clientCertificates is none: nobody is asked for a certificate' });
  }
  const names = regions.list.map((each) => each.name);
  found.push(...regionContradictions(regions, shares));
  found.push(...gatewayContradictions(gateway, { home: regions.home, names }));
  const splittable = database.kind === 'server' && shares.kind === 'azure';
  if (!splittable && new Set(roles).size < 3) {
    found.push({ path: ['roles'], message: 'must be all three while the database or the shares are embedded: they live in one process' });
  }
  return found;
}
