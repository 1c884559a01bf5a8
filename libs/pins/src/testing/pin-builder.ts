import { randomUUID } from 'node:crypto';

import { PIN_PRIORITY_DEFAULT, type Pin } from '../pin.js';

/** A valid pin of `team/app:latest` in eastus, changed by what a test cares about. */
export function aPin(changes: Partial<Pin> = {}): Pin {
  return {
    id: randomUUID(),
    repository: 'team/app',
    reference: { kind: 'tag', tag: 'latest' },
    regions: ['eastus'],
    priority: PIN_PRIORITY_DEFAULT,
    createdAt: new Date('2026-01-01T00:00:00.000Z'),
    createdBy: 'operator',
    ...changes,
  };
}
