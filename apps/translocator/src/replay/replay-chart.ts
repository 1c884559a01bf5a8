import { type HitCount, hitRatio, type ReplayScore } from '#placement';
import { GB } from '#quantities';

import { ratioText } from './replay-table.js';

const BAR_HEIGHT = 18;
const LABEL_WIDTH = 150;
const BAR_WIDTH = 360;
const BARS = 4;

/** A chart of scores as SVG: for each policy the share of hits, of all pulls, of first and of foreseeable ones, and the bytes from home against the most of any policy. */
export function chartOfScores(scores: readonly ReplayScore[]): string {
  const wan = (score: ReplayScore): number => score.total.replicatedBytes + score.total.fallbackBytes;
  const most = Math.max(1, ...scores.map(wan));
  const bars = scores.flatMap((score) => [
    { label: score.policy, ...bar('hits', score.total.all), fill: '#2b6cb0' },
    { label: '', ...bar('first pulls', score.total.first), fill: '#63b3ed' },
    { label: '', ...bar('foreseeable', score.total.late), fill: '#90cdf4' },
    { label: '', ratio: wan(score) / most, text: `${Number((wan(score) / GB).toPrecision(3))} GB from home`, fill: '#a0aec0' },
  ]);
  const rows = bars.map(({ label, ratio, text, fill }, n) => {
    const y = 10 + n * BAR_HEIGHT + Math.floor(n / BARS) * 10;
    const width = Math.max(1, ratio * BAR_WIDTH).toFixed(1);
    return `<text x="${LABEL_WIDTH - 8}" y="${y + 12}" text-anchor="end">${label}</text><rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT - 4}" fill="${fill}"/><text x="${LABEL_WIDTH + BAR_WIDTH + 8}" y="${y + 12}">${text}</text>`;
  });
  const height = 20 + bars.length * BAR_HEIGHT + scores.length * 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LABEL_WIDTH + BAR_WIDTH + 180}" height="${height}" font-family="sans-serif" font-size="12">\n${rows.join('\n')}\n</svg>\n`;
}

function bar(name: string, count: HitCount): { readonly ratio: number; readonly text: string } {
  return { ratio: count.pulls === 0 ? 0 : hitRatio(count), text: `${name} ${ratioText(count, 3)}` };
}
