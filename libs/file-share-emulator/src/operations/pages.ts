import { invalidQuery } from '../azure-error.js';
import type { Exchange } from '../exchange.js';

/** Entries that one page of a listing has at most. */
const LISTED_MAX = 5000;
/** Characters of a marker: more than any of ours has. */
const MARKER = /^[A-Za-z0-9_-]{1,1400}$/;

/** How many entries a page of a listing may have. */
export function pageSize(exchange: Exchange): number {
  const text = exchange.query('maxresults');
  if (text === undefined) return LISTED_MAX;
  const size = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (size < 1) throw invalidQuery('maxresults', text);
  return Math.min(size, LISTED_MAX);
}

/** The marker of the page behind `position`, in a form that tells clients nothing; empty for none. */
export function markerOf(position: string | undefined): string {
  return position === undefined ? '' : Buffer.from(position).toString('base64url');
}

/** Behind which position a page begins: before everything without a marker. */
export function positionOf(exchange: Exchange): string {
  const text = exchange.query('marker');
  if (text === undefined || text === '') return '';
  if (!MARKER.test(text)) throw invalidQuery('marker', text);
  return Buffer.from(text, 'base64url').toString();
}
