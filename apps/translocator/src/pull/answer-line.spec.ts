import { describe, expect, it } from 'vitest';

import { AnswerLine, LINE_MAX, STAND_MAX_MS, type StandingAnswer, TURN_SHARE_MS } from './answer-line.js';

const COST_MS = 1;
const loopCount = (): number => performance.nodeTiming.uvMetricsInfo.loopCount;

/** A line whose time passes only while answers are given, at the turns of the real loop. */
function startLine() {
  let nowMs = 0;
  const line = new AnswerLine({ now: () => nowMs });
  const given: { name: string; turn: number }[] = [];
  const answer = (name: string, more: Partial<StandingAnswer> = {}): StandingAnswer => ({
    give: () => {
      given.push({ name, turn: loopCount() });
      nowMs += COST_MS;
    },
    ...more,
  });
  const sheddable = (name: string, more: Partial<StandingAnswer> = {}): StandingAnswer => answer(name, { giveLess: () => void given.push({ name: `less of ${name}`, turn: loopCount() }), ...more });
  const emptied = async (): Promise<string[]> => {
    while (line.length > 0) await new Promise((resolve) => setImmediate(resolve));
    return given.map(({ name }) => name);
  };
  return { line, given, answer, sheddable, emptied, pass: (ms: number) => void (nowMs += ms) };
}

describe('a line of answers', () => {
  it('gives those first that have no cheaper one, and all others in the order in which they came', async () => {
    const { line, answer, sheddable, emptied } = startLine();
    line.stand(sheddable('a'));
    line.stand(sheddable('b'));
    line.stand(answer('c'));
    line.stand(answer('d'));
    expect(await emptied()).toEqual(['c', 'd', 'a', 'b']);
  });

  it('takes no more than its share of a turn, whatever stands in it', async () => {
    const { line, given, answer, emptied } = startLine();
    for (let n = 0; n < 30; n += 1) line.stand(answer(String(n)));
    await emptied();
    const perTurn = Object.values(Object.groupBy(given, ({ turn }) => turn)).map((turn) => turn!.length);
    expect(Math.max(...perTurn)).toBe(TURN_SHARE_MS / COST_MS);
    expect(perTurn.length).toBeGreaterThanOrEqual((30 * COST_MS) / TURN_SHARE_MS);
  });

  it('lets what an answer leaves for the same turn be done before the next', async () => {
    const { line, answer, emptied } = startLine();
    const done: string[] = [];
    for (const name of ['a', 'b']) {
      line.stand(answer(name, { give: () => {
        done.push(`${name} begins`);
        void Promise.resolve().then(() => process.nextTick(() => done.push(`${name} ends`)));
      } }));
    }
    await emptied();
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('gives the cheaper one to what has stood too long, once the share of the turn is used up', async () => {
    const { line, sheddable, emptied } = startLine();
    const count = STAND_MAX_MS / COST_MS + 2 * TURN_SHARE_MS;
    for (let n = 0; n < count; n += 1) line.stand(sheddable(String(n)));
    const names = await emptied();
    const whole = names.filter((name) => !name.startsWith('less'));
    // What was given whole had its turn in time, and no share was left unused.
    expect(whole).toEqual(Array.from({ length: whole.length }, (_, n) => String(n)));
    expect(whole.length).toBe(Math.ceil(STAND_MAX_MS / TURN_SHARE_MS) * (TURN_SHARE_MS / COST_MS));
    expect(names.slice(whole.length)).toEqual(Array.from({ length: count - whole.length }, (_, n) => `less of ${whole.length + n}`));
  });

  it('gives whole answers after a pause, however long all have stood, as far as the share goes', async () => {
    const { line, sheddable, emptied, pass } = startLine();
    for (const name of ['a', 'b']) line.stand(sheddable(name));
    pass(10 * STAND_MAX_MS);
    expect(await emptied()).toEqual(['a', 'b']);
  });

  it('never sheds what has no cheaper answer', async () => {
    const { line, answer, emptied } = startLine();
    for (let n = 0; n < 100; n += 1) line.stand(answer(String(n)));
    expect(await emptied()).toHaveLength(100);
  });

  it('passes over what nobody waits for any more', async () => {
    const { line, answer, emptied } = startLine();
    line.stand(answer('a', { isUnwanted: () => true }));
    line.stand(answer('b'));
    expect(await emptied()).toEqual(['b']);
  });

  it('is bounded: what comes to a full line is answered at once, by the cheaper answer where there is one', () => {
    const { line, given, answer, sheddable } = startLine();
    for (let n = 0; n < LINE_MAX; n += 1) line.stand(answer(String(n), { isUnwanted: () => true }));
    line.stand(sheddable('a'));
    line.stand(answer('b'));
    expect(given.map(({ name }) => name)).toEqual(['less of a', 'b']);
    expect(line.length).toBe(LINE_MAX);
  });
});
