import type { FieldProblem } from '#contract';

/** What a client did wrong, or may not do, found at the HTTP border itself. */
export interface HttpProblemOptions {
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
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
