import { describe, expect, it } from 'vitest';

import { keptTranscript, SCENARIOS } from './stress/transcripts.js';

describe('stress scenarios keep their laws, and go as their transcripts tell (npm run scenarios -- --write)', () => {
  it.each(Object.keys(SCENARIOS))('%s', async (name) => {
    expect(await SCENARIOS[name]!()).toBe(await keptTranscript(name));
  });
});
