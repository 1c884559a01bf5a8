import pg from 'pg';

/** What the driver says when an answer did not come within `query_timeout`. */
const NO_ANSWER = 'Query read timeout';

/**
 * A connection that ends when a statement is not answered within its `query_timeout`. The driver alone would go on with it, and every later statement would wait
 * behind the one that nobody answers any more; ended, it leaves its pool.
 */
export class VanishingClient extends pg.Client {
  override connect(): Promise<pg.Client>;
  override connect(callback: (error: Error) => void): void;
  override connect(callback?: (error: Error) => void): Promise<pg.Client> | void {
    const unbounded = this.query.bind(this) as (...args: readonly unknown[]) => unknown;
    const endOnSilence = (error: unknown): void => {
      if (error instanceof Error && error.message === NO_ANSWER) void this.end().catch(() => undefined);
    };
    // An assignment, because the driver's many overloads of this method cannot be overridden one by one.
    Object.assign(this, {
      query: (...args: readonly unknown[]): unknown => {
        const answer = unbounded(...args);
        if (answer instanceof Promise) answer.catch(endOnSilence);
        return answer;
      },
    });
    return callback === undefined ? super.connect() : super.connect(callback);
  }
}
