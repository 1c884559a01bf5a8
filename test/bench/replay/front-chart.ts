/** What some weights came to, by forecasts of one kind. */
export interface FrontPoint {
  /** By which forecasts. */
  readonly line: string;
  /** By which weights. */
  readonly rung: string;
  readonly hits: number;
  readonly first: number;
  readonly foreseeable: number;
  readonly wan: number;
  readonly copiedGb: number;
  /** Of the copied bytes, those never read: what went unread, and what was still there at the end. */
  readonly waste: number;
  readonly wentUnread: number;
  readonly heldUnread: number;
  readonly storage: number;
}

/** What the chart says besides. */
export interface FrontTitle {
  readonly title: string;
  /** What is asked for at once. */
  readonly asked: { readonly waste: number; readonly first: number; readonly hits: number | undefined };
}

const [WIDTH, HEIGHT, MARGIN] = [360, 300, 56];
const FILLS = ['#2b6cb0', '#c05621'];

interface Panel {
  readonly name: string;
  readonly of: 'first' | 'hits';
  readonly asked: number | undefined;
  readonly leftPx: number;
}

/** A chart as SVG: what is found against what is copied and never read, by first pulls and by all, a line for each kind of forecasts. */
export function chartOfFront(points: readonly FrontPoint[], { title, asked }: FrontTitle): string {
  const lines = [...new Set(points.map(({ line }) => line))];
  const panels: readonly Panel[] = [
    { name: 'first pulls found', of: 'first', asked: asked.first, leftPx: MARGIN },
    { name: 'hits', of: 'hits', asked: asked.hits, leftPx: 2 * MARGIN + WIDTH },
  ];
  const legend = lines.map((line, n) => `<text x="${MARGIN + n * 120}" y="36" fill="${FILLS[n]}">${line}</text>`);
  const drawn = panels.flatMap((panel) => panelOf(points, lines, { ...panel, waste: asked.waste }));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${3 * MARGIN + 2 * WIDTH}" height="${2 * MARGIN + HEIGHT}" font-family="sans-serif" font-size="12">\n<text x="${MARGIN}" y="18">${title}</text>\n${[...legend, ...drawn].join('\n')}\n</svg>\n`;
}

function panelOf(points: readonly FrontPoint[], lines: readonly string[], { name, of, asked, leftPx, waste }: Panel & { readonly waste: number }): string[] {
  const from = Math.floor(Math.min(asked ?? 1, ...points.map((point) => point[of])) * 20) / 20;
  const x = (ratio: number): string => (leftPx + ratio * WIDTH).toFixed(1);
  const y = (ratio: number): string => (MARGIN + ((1 - ratio) / (1 - from)) * HEIGHT).toFixed(1);
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => {
    const value = from + part * (1 - from);
    return [
      `<text x="${x(part)}" y="${MARGIN + HEIGHT + 16}" text-anchor="middle">${part}</text>`,
      `<text x="${leftPx - 6}" y="${y(value)}" dy="4" text-anchor="end">${Number(value.toFixed(3))}</text><path d="M${x(0)} ${y(value)}H${x(1)}" stroke="#e2e8f0"/>`,
    ];
  });
  const bounds = [`M${x(waste)} ${y(1)}V${y(from)}`, ...(asked === undefined ? [] : [`M${x(0)} ${y(asked)}H${x(1)}`])].map((path) => `<path d="${path}" stroke="#718096" stroke-dasharray="4 3"/>`);
  const drawn = lines.flatMap((line, n) => {
    const own = points.filter((point) => point.line === line);
    return [
      `<polyline points="${own.map((point) => `${x(point.waste)},${y(point[of])}`).join(' ')}" fill="none" stroke="${FILLS[n]}" stroke-width="2"/>`,
      ...own.map((point) => `<circle cx="${x(point.waste)}" cy="${y(point[of])}" r="3.5" fill="${FILLS[n]}"><title>${line}, ${point.rung}: ${name} ${point[of].toFixed(3)}, never read ${point.waste.toFixed(3)}</title></circle>`),
    ];
  });
  return [...grid, ...bounds, ...drawn, `<text x="${leftPx + WIDTH / 2}" y="${MARGIN + HEIGHT + 34}" text-anchor="middle">copied bytes never read</text>`, `<text x="${leftPx}" y="${MARGIN - 6}">${name}</text>`];
}
