import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * Every metric of the service, in base units. Labels have few values: regions, states, reasons, kinds of work; never a digest, a tag or a repository.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #refreshers: (() => Promise<void>)[] = [];

  /** Layers in answers, by `kind` (mount, blob) and `reason` (empty for mounts). */
  readonly lookupLayers = this.#counter('translocator_lookup_layers_total', 'Layers answered in lookups', ['kind', 'reason']);
  /** Lookups by `outcome` (ok, expanding, not_enabled, unknown, denied, not_loaded). */
  readonly lookups = this.#counter('translocator_lookups_total', 'Lookups answered', ['outcome']);
  /** Answers that were blobs because this process was busy, by `cause`: line (they had stood in line for too long), loop (turns of the event loop were late). */
  readonly lookupsShed = this.#counter('translocator_lookups_shed_total', 'Lookups answered by blobs because the process was busy', ['cause']);
  readonly lookupSeconds = this.#histogram('translocator_lookup_duration_seconds', 'Time to answer a lookup', [], [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]);
  /** Notification events by `outcome` (accepted, repeated, unreadable; noticed: seen in what passed through to the registry). */
  readonly notifications = this.#counter('translocator_notification_events_total', 'Registry events received', ['outcome']);
  /** Work by `loop` (examine, backfill, expand, copy, remove) and `outcome`. */
  readonly work = this.#counter('translocator_work_total', 'Pieces of work ended', ['loop', 'outcome']);
  readonly workSeconds = this.#histogram('translocator_work_duration_seconds', 'Time a piece of work took', ['loop'], [0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800]);
  readonly expandedBytes = this.#counter('translocator_expanded_bytes_total', 'Bytes of expanded layers written to the home share', []);
  readonly copiedBytes = this.#counter('translocator_copied_bytes_total', 'Bytes that copies were allowed to move over a link, repeated pieces included', ['from', 'to']);
  readonly scrubbedBytes = this.#counter('translocator_scrubbed_bytes_total', 'Bytes of replicas that were read again and compared with their records', []);
  /** By `found`: damaged (copied again), last (damaged, expanded again), unsteady (wrong once, right when read again). */
  readonly scrubFindings = this.#counter('translocator_scrub_findings_total', 'Replicas whose bytes were not those of their record', ['region', 'found']);
  /** Events told to webhooks, by `outcome`: told, failed (told again), given-up. */
  readonly webhookEvents = this.#counter('translocator_webhook_events_total', 'Events told to webhooks', ['webhook', 'outcome']);
  readonly eventListeners = this.#gauge('translocator_event_listeners', 'Listeners to the stream of events, of this process', []);
  readonly shareFull = this.#counter('translocator_share_full_total', 'Times a share turned out full', ['region']);
  readonly shareStoredBytes = this.#gauge('translocator_share_stored_bytes', 'Bytes on a share as its provider counts them, of everybody who writes there', ['region']);
  readonly shareProvisionedBytes = this.#gauge('translocator_share_provisioned_bytes', 'Bytes that a share may hold at its provider', ['region']);
  readonly shareCallsWidth = this.#gauge('translocator_share_calls_width', 'Calls that this process may have under way on a share, as was found out: 16 at first, fewer when it throttles', ['region']);
  /** What passed through to the registry, by `part` of it and `status`; `gone` when the client went away first. */
  readonly gatewayRequests = this.#counter('translocator_gateway_requests_total', 'Requests passed on to the registry, or refused', ['part', 'status']);
  readonly gatewayOpen = this.#gauge('translocator_gateway_open_requests', 'Requests that are being passed on to the registry', []);
  /** What became of layers that passed to nodes of the gateway's region, by `outcome` (kept, declined, given-up, failed) and `reason`. */
  readonly gatewayLayers = this.#counter('translocator_gateway_layers_total', 'Layers that passed through a gateway that keeps what passes', ['outcome', 'reason']);
  /** By `ordered`: yes (a copy was saved), no (kept because it was pulled). */
  readonly gatewayKeptBytes = this.#counter('translocator_gateway_kept_bytes_total', 'Bytes of replicas made of what passed through, which no copy has to move', ['ordered']);
  readonly gatewaySpooledBytes = this.#gauge('translocator_gateway_spooled_bytes', 'Bytes of layers that passed through and are set aside on the disk', []);
  readonly shareUp = this.#gauge('translocator_share_up', '1 while nodes are given a share, 0 while probes or reports say that it is of no use, as this process judges', ['region']);
  readonly drainsForced = this.#counter('translocator_drains_forced_total', 'Looks at replicas that were still leased beyond leases.drainMax: their leases run out', ['region']);
  /** By `outcome`: waited, closed. */
  readonly drainsOpen = this.#counter('translocator_drains_open_total', 'Looks at replicas without leases whose files clients still had open', ['region', 'outcome']);
  /** By `standing`: follows, silent, ended, unleased, nothing. */
  readonly answeringProcesses = this.#gauge('translocator_answering_processes', 'Processes that answer mounts, or may have given some not long ago', ['standing']);
  readonly drainsEndEarly = this.#gauge('translocator_drains_end_early', '1 while a draining replica waits only until all that answer know of it, 0 while it waits its whole grace', []);
  readonly plans = this.#counter('translocator_plans_total', 'Runs of the planner, by what asked for them and what came of them (planned, busy, turn-lost, failed)', ['trigger', 'outcome']);
  readonly planSeconds = this.#histogram('translocator_plan_duration_seconds', 'Time a planning run took', [], [0.01, 0.05, 0.1, 0.5, 1, 5, 30]);
  readonly observations = this.#counter('translocator_observations_total', 'Pulls observed', ['region']);
  readonly observationsDropped = this.#counter('translocator_observations_dropped_total', 'Observed pulls given up because the buffer was full', []);
  readonly mapEntries = this.#gauge('translocator_map_entries', 'What the lookup map holds', ['kind']);
  readonly mapAgeSeconds = this.#gauge('translocator_map_age_seconds', 'Time since the lookup map last agreed with the database', []);
  readonly replicas = this.#gauge('translocator_replicas', 'Replicas by region and state', ['region', 'state']);
  readonly shareUsedBytes = this.#gauge('translocator_share_used_bytes', 'Bytes of replicas on a share, planned ones included', ['region']);
  readonly shareCapacityBytes = this.#gauge('translocator_share_capacity_bytes', 'Capacity of a share', ['region']);
  readonly layers = this.#gauge('translocator_layers', 'Layers by state of expansion', ['state']);

  /** Refused credentials by `kind` (service, pull) and `reason`. */
  readonly authFailures = this.#counter('translocator_auth_failures_total', 'Credentials that were shown and refused', ['kind', 'reason']);
  readonly tokensAgeSeconds = this.#gauge('translocator_tokens_age_seconds', 'Time since what this process knows of service tokens last agreed with the database', []);

  readonly tlsExpiry = this.#gauge('translocator_tls_certificate_expiry_timestamp_seconds', 'When the certificate that is shown ends, in seconds since the epoch; 0 without TLS', []);
  /** By `outcome`: taken, refused. */
  readonly tlsReloads = this.#counter('translocator_tls_reloads_total', 'Changes of the TLS files that were noticed', ['outcome']);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Has `refresh` set gauges right before they are read. Registering is for the start of the process. */
  beforeScrape(refresh: () => Promise<void>): void {
    this.#refreshers.push(refresh);
  }

  /** All metrics in the Prometheus text format. A gauge that could not be refreshed shows its last value. */
  async text(): Promise<string> {
    await Promise.allSettled(this.#refreshers.map((refresh) => refresh()));
    return this.registry.metrics();
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string>(name: string, help: string, labelNames: Label[], buckets: number[]): Histogram<Label> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }
}
