import { describe, expect, it } from 'vitest';

import { chartOfFront, type FrontPoint } from './front-chart.js';

const point = (line: string, rung: string, found: Pick<FrontPoint, 'waste' | 'first' | 'hits'>): FrontPoint => ({ line, rung, foreseeable: 0, wan: 1, copiedGb: 1, wentUnread: 0, heldUnread: found.waste, storage: 0.1, ...found });

describe('chartOfFront', () => {
  const points = [point('forecasts', '1', { waste: 0.5, first: 0.5, hits: 0.9 }), point('rates known', '1', { waste: 0.25, first: 1, hits: 1 })];

  it('draws what is found against what is never read, a line for each kind of forecasts, and the bounds', () => {
    const chart = chartOfFront(points, { title: 'the front', asked: { waste: 0.15, first: 0.55, hits: 0.98 } });
    expect(chart).toMatch(/^<svg [^]*the front[^]*<\/svg>\n$/);
    expect(chart.match(/<polyline/g)).toHaveLength(4);
    expect(chart.match(/stroke-dasharray/g)).toHaveLength(4);
    // Half of a panel of 360 by 300 that begins at 56: the least of what was found is at its bottom.
    expect(chart).toContain('<circle cx="236.0" cy="356.0" r="3.5" fill="#2b6cb0"><title>forecasts, 1: first pulls found 0.500, never read 0.500</title></circle>');
    expect(chart).toContain('<circle cx="146.0" cy="56.0" r="3.5" fill="#c05621"><title>rates known, 1: first pulls found 1.000, never read 0.250</title></circle>');
  });

  it('draws no bound where nothing is asked', () => {
    expect(chartOfFront(points, { title: 'the front', asked: { waste: 0.15, first: 0.55, hits: undefined } }).match(/stroke-dasharray/g)).toHaveLength(3);
  });
});
