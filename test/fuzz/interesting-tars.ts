import type { ExpansionErrorCode } from '#expansion';
import { paxRecords, tarOf } from '#expansion/testing';

/** A tar worth trying for ever, made when it is needed, and what it must come to. */
export interface InterestingTar {
  readonly title: string;
  readonly tar: () => Buffer;
  readonly outcome: ExpansionErrorCode | 'expanded';
}

/** What was found by campaigns and by reading: each of these once took more memory or time than it should, or nearly does. */
export const INTERESTING_TARS: readonly InterestingTar[] = [
  {
    title: 'a sparse map of one number that has a million digits',
    tar: () => tarOf({ name: 'x', pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' }, contents: `1\n${'0'.repeat(1_000_000)}` }),
    outcome: 'TAR_INVALID',
  },
  {
    title: 'a hundred headers of records in front of one entry, each with an attribute of its own',
    tar: () => tarOf(...Array.from({ length: 100 }, (_, index) => ({ name: 'x', type: 'x', contents: paxRecords({ [`SCHILY.xattr.user.${index}`]: 'v'.repeat(60_000) }) })), { name: 'f' }),
    outcome: 'expanded',
  },
  {
    title: 'a hundred global headers, each with an attribute of its own',
    tar: () => tarOf(...Array.from({ length: 100 }, (_, index) => ({ name: 'g', type: 'g', contents: paxRecords({ [`SCHILY.xattr.user.${index}`]: 'v'.repeat(60_000) }) })), { name: 'f' }),
    outcome: 'TOO_LARGE',
  },
  {
    title: 'an unknown sparse record for every number',
    tar: () => tarOf({ name: 'f', pax: Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`GNU.sparse.${index}`, 'x'])) }),
    outcome: 'expanded',
  },
  {
    title: 'segments of no length in a sparse map',
    tar: () => tarOf({ name: 'x', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,0,0,0,3,2,5,0,9,0' }, contents: 'ab' }),
    outcome: 'expanded',
  },
  {
    title: 'a link to itself',
    tar: () => tarOf({ name: 'f', contents: 'x' }, { name: 'f', type: '1', linkName: 'f' }, { name: './f', type: '1', linkName: '/f' }),
    outcome: 'expanded',
  },
  {
    title: 'a link whose path is made through itself',
    tar: () => tarOf({ name: 's', type: '2', linkName: 's/x' }, { name: 's/x/y' }),
    outcome: 'TAR_INVALID',
  },
  {
    title: 'a directory that is replaced while a link still points through it',
    tar: () => tarOf({ name: 'd/e/', type: '5' }, { name: 's', type: '2', linkName: 'd/e' }, { name: 'd', contents: 'x' }, { name: 's/f' }),
    outcome: 'TAR_INVALID',
  },
  {
    title: 'whiteouts of whiteouts',
    tar: () => tarOf({ name: '.wh..wh.f' }, { name: '.wh.f' }, { name: '.wh.f/', type: '5' }, { name: '.wh.f/x', contents: 'x' }),
    outcome: 'expanded',
  },
  {
    title: 'as many attributes as an inode holds, on a directory that is opaque',
    tar: () => tarOf({ name: 'd/', type: '5', pax: Object.fromEntries(Array.from({ length: 62 }, (_, index) => [`SCHILY.xattr.user.${index}`, 'v'.repeat(1024)])) }, { name: 'd/.wh..wh..opq' }),
    outcome: 'expanded',
  },
];
