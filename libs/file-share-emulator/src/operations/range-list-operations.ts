import { type ByteRange, ByteRangeSet } from '#shares';

import { AzureFilesError } from '../azure-error.js';
import { changeHeaders } from '../headers.js';
import { checkLease } from '../lease.js';
import { filePath, type Operation, type OperationContext, type ShareView, viewOf } from '../operation.js';
import { askedRange, clipRange } from '../ranges.js';
import type { Entry } from '../storage/entry.js';
import type { ShareFolder } from '../storage/share-folder.js';
import { xmlDocument } from '../xml.js';
import { absence } from './directory-operations.js';

/** Listing the ranges of a file, and how they differ from a snapshot. */
export const rangeListOperations: readonly Operation[] = [
  { name: 'List Ranges', method: 'GET', target: 'path', comp: 'rangelist', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: listRanges },
];

interface ListedRange extends ByteRange {
  readonly kind: 'Range' | 'ClearRange';
}

async function listRanges(context: OperationContext): Promise<void> {
  const { exchange } = context;
  const view = viewOf(context);
  const path = filePath(context);
  const entry = await view.folder.find(path);
  if (entry === undefined) throw await absence(view.folder, path);
  if (entry.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
  checkLease(entry.record.header.lease, { id: exchange.header('x-ms-lease-id'), writes: false, now: Date.now() });
  const asked = askedRange(exchange);
  const window = asked === undefined ? { offset: 0, length: entry.sizeBytes } : clipRange(asked, entry.sizeBytes);
  const previous = exchange.query('prevsharesnapshot');
  const listed = previous === undefined
    ? entry.record.written.within(window).map((range): ListedRange => ({ kind: 'Range', ...range }))
    : await changesSince(view, { entry, previous, window, followsRenames: exchange.flag('x-ms-file-support-rename') });
  const headers = { ...changeHeaders(entry.record.changedAt), 'x-ms-content-length': entry.sizeBytes };
  exchange.replyXml(200, headers, xmlDocument(`<Ranges>${listed.map(rangeElement).join('')}</Ranges>`));
}

interface Comparison {
  readonly entry: Entry;
  /** The older snapshot. */
  readonly previous: string;
  readonly window: ByteRange;
  readonly followsRenames: boolean;
}

/** What was written since the older snapshot, and what was cleared of that which it had; by offset. */
async function changesSince({ share, stamp }: ShareView, { entry, previous, window, followsRenames }: Comparison): Promise<ListedRange[]> {
  const old = share.snapshots.get(previous);
  if (stamp !== undefined && stamp < previous) throw new AzureFilesError('InvalidQueryParameterValue', { elements: { QueryParameterName: 'prevsharesnapshot' } });
  const { written, touched, header } = entry.record;
  const here = await old.folder.find(entry.path);
  const isSame = here?.record.header.fileId === header.fileId;
  const isNew = !isSame && (header.madeAfter ?? '') >= previous;
  if (isNew && here !== undefined) throw new AzureFilesError('FileGenerationMismatch');
  if (isNew) return written.within(window).map((range) => ({ kind: 'Range', ...range }));
  if (!isSame && !followsRenames) throw new AzureFilesError('FileGenerationMismatch', { message: 'The file has been renamed since the previous snapshot was taken.' });
  const before = isSame ? here : await findById(old.folder, header.fileId, '');
  const changed = new ByteRangeSet([...touched].filter(([epoch]) => epoch >= previous).flatMap(([, ranges]) => ranges.toArray()));
  const inWindow = new ByteRangeSet(changed.within(window));
  const now = inWindow.toArray().flatMap((range) => written.within(range));
  const gone = new ByteRangeSet(before === undefined ? [] : inWindow.toArray().flatMap((range) => before.record.written.within(range)));
  for (const range of now) gone.remove(range);
  const listed: ListedRange[] = [...now.map((range): ListedRange => ({ kind: 'Range', ...range })), ...gone.toArray().map((range): ListedRange => ({ kind: 'ClearRange', ...range }))];
  return listed.toSorted((a, b) => a.offset - b.offset);
}

/** Looks through a whole snapshot: only a file that was renamed since costs that. */
async function findById(folder: ShareFolder, fileId: string, path: string): Promise<Entry | undefined> {
  for (const name of await folder.names(path)) {
    const entry = await folder.find(path === '' ? name : `${path}/${name}`);
    const found = entry?.kind === 'folder' ? await findById(folder, fileId, entry.path) : entry;
    if (found?.record.header.fileId === fileId) return found;
  }
  return undefined;
}

/** A range as the list writes it, ends included. */
function rangeElement({ kind, offset, length }: ListedRange): string {
  return `<${kind}><Start>${offset}</Start><End>${offset + length - 1}</End></${kind}>`;
}
