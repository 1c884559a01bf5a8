import type { FieldProblem } from '#contract';

/** What a client did wrong, or may not do, found at the HTTP border itself. */
export interface HttpProblemOptions {
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  /** What access was lacking, as registries tell it: the `detail` of their errors (distribution-spec's token specification). */
  readonly lacking?: readonly LackingAccess[];
}

/** A right that a caller has not shown, in the words of registries. */
export interface LackingAccess {
  readonly Type: 'repository';
  readonly Name: string;
  readonly Action: string;
}

/** Ends a request of a registry's client that shows nothing, or nothing good, as registries end it. */
export function authenticationRequired(repository: string, actions: readonly string[], challenge: string | undefined): HttpProblem {
  return new HttpProblem(401, {
    code: 'UNAUTHORIZED',
    title: 'Authentication required',
    detail: 'authentication required',
    lacking: actions.map((Action) => ({ Type: 'repository', Name: repository, Action })),
    ...(challenge === undefined ? {} : { headers: { 'www-authenticate': challenge } }),
  });
}

/** Ends a request with an RFC 9457 problem. For the border only: rooms throw their own coded errors. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly options: HttpProblemOptions;

  constructor(status: number, options: HttpProblemOptions) {
    super(options.detail);
    this.status = status;
    this.options = options;
  }
}
