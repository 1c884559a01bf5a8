import { describeError } from '#errors';

import type { Translocator } from './translocator.js';

/** What {@link runUntilEnded} needs to know. */
export interface EndTerms {
  /** Resolves when somebody asks the service to stop. */
  readonly asked: Promise<unknown>;
  /** How long stopping may take, in milliseconds. */
  readonly stopMaxMs: number;
  /** Hears, before the service is stopped, why it ended; and what kept it from stopping. */
  readonly complain: (line: string) => void;
}

/** Lets a service run until it is asked to stop or cannot go on, and stops it, for a bounded time. Never throws. @returns true when it was asked, and stopped in time. */
export async function runUntilEnded(service: Pick<Translocator, 'failed' | 'stop'>, { asked, stopMaxMs, complain }: EndTerms): Promise<boolean> {
  let well = true;
  try {
    await Promise.race([asked, service.failed]);
  } catch (error) {
    complain(`the service ended: ${describeError(error)}`);
    well = false;
  }
  let tooLate: NodeJS.Timeout | undefined;
  try {
    const bound = new Promise<never>((_resolve, reject) => {
      tooLate = setTimeout(() => reject(new Error(`it took longer than ${stopMaxMs} ms`)), stopMaxMs);
    });
    await Promise.race([service.stop(), bound]);
  } catch (error) {
    complain(`the service did not stop well: ${describeError(error)}`);
    well = false;
  } finally {
    clearTimeout(tooLate);
  }
  return well;
}
