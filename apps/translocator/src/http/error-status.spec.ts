import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { PULL_REASONS } from '#mounts';

import { isServiceErrorCode, STATUS_OF_CODE } from './error-status.js';

const DOCUMENT = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8');

/** The rows under a heading, as their cells. */
function rowsUnder(heading: string): string[][] {
  const section = DOCUMENT.split('\n## ').find((part) => part.startsWith(heading)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| code') && !line.startsWith('| reason'));
  return lines.map((line) => line.slice(2, -2).split(' | '));
}

const CODES = ['What a client sent', 'What the registry holds or says', 'What the service stands on', 'What came of work'].flatMap(rowsUnder);

describe('docs/errors.md', () => {
  it('has every code of every room once, with its status, and no other', () => {
    const told = CODES.map(([code = '', , , , status = '']) => [code.replaceAll('`', ''), Number(status)]);
    expect(told.map(([code]) => String(code)).toSorted()).toEqual(Object.keys(STATUS_OF_CODE).toSorted());
    expect(Object.fromEntries(told)).toEqual(STATUS_OF_CODE);
  });

  it('tells of each what it means, whether it passes, and what to do', () => {
    for (const cells of CODES) expect(cells.filter((cell) => cell.trim() !== '')).toHaveLength(6);
  });

  it('has every reason for which a layer is a blob, and no other', () => {
    const told = rowsUnder('Why a layer').flatMap(([reasons = '']) => reasons.split(', ').map((reason) => reason.replaceAll('`', '')));
    expect(told.toSorted()).toEqual([...PULL_REASONS].toSorted());
  });
});

describe('the codes of the service', () => {
  it('are told from those of others', () => {
    expect(isServiceErrorCode('SHARE_BUSY')).toBe(true);
    for (const other of ['ECONNREFUSED', 'toString', '__proto__', '']) expect(isServiceErrorCode(other)).toBe(false);
  });

  it('have statuses that are errors', () => {
    expect(Object.values(STATUS_OF_CODE).filter((status) => status < 400 || status > 503)).toEqual([]);
  });
});
