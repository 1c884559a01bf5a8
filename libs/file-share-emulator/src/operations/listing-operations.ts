import { AzureFilesError, invalidQuery } from '../azure-error.js';
import { type Operation, type OperationContext, pathOf, viewOf } from '../operation.js';
import { defaultAttributes, defaultPermissionKey } from '../smb-properties.js';
import type { Entry } from '../storage/entry.js';
import { folded } from '../storage/host-tree.js';
import { etagOf, httpDateOf, isoOf } from '../storage/ticks.js';
import { attribute, element, isXmlText, nameElement, xmlDocument } from '../xml.js';
import { absence } from './directory-operations.js';
import { markerOf, pageSize, positionOf } from './pages.js';

/** Listing what is in a folder. */
export const listingOperations: readonly Operation[] = [
  { name: 'List Directories and Files', method: 'GET', target: 'path', restype: 'directory', comp: 'list', needs: { level: 'c', anyOf: 'l' }, onSnapshots: true, run: listDirectory },
];

const INCLUDES = ['timestamps', 'etag', 'attributes', 'permissionkey'];

async function listDirectory(context: OperationContext): Promise<void> {
  const { exchange, endpoint } = context;
  const { share, folder, stamp } = viewOf(context);
  const path = pathOf(context);
  const self = await folder.find(path);
  if (self === undefined) throw await absence(folder, path);
  if (self.kind === 'file') throw new AzureFilesError('ResourceNotFound');
  const prefix = folded(exchange.query('prefix') ?? '');
  const after = positionOf(exchange);
  const names = (await folder.names(path)).filter((name) => folded(name).startsWith(prefix) && name > after).toSorted();
  const page = names.slice(0, pageSize(exchange));
  const next = markerOf(names.length > page.length ? page.at(-1) : undefined);
  const include = includesOf(exchange.query('include'));
  const listed: string[] = [];
  for (const name of page) {
    const entry = await folder.find(path === '' ? name : `${path}/${name}`);
    if (entry !== undefined) listed.push(entryElement(name, entry, include));
  }
  const attributes = attribute('ServiceEndpoint', endpoint) + attribute('ShareName', share.name) + attribute('ShareSnapshot', stamp) + directoryAttributes(path);
  const asked = ['Prefix', 'Marker', 'MaxResults'].map((name) => element(name, exchange.query(name.toLowerCase()))).join('');
  const id = element('DirectoryId', path === '' ? '0' : self.record.header.fileId);
  exchange.replyXml(200, {}, xmlDocument(
    `<EnumerationResults${attributes}>${asked}${id}<Entries>${listed.join('')}</Entries>${element('NextMarker', next)}</EnumerationResults>`,
  ));
}

function directoryAttributes(path: string): string {
  return isXmlText(path) ? attribute('DirectoryPath', path) : attribute('DirectoryPath', encodeURIComponent(path)) + attribute('Encoded', 'true');
}

function entryElement(name: string, entry: Entry, include: ReadonlySet<string>): string {
  const { kind, sizeBytes, record: { header, changedAt, writtenAt } } = entry;
  const times = include.has('timestamps')
    ? element('CreationTime', isoOf(header.createdAt)) + element('LastAccessTime', isoOf(writtenAt)) + element('LastWriteTime', isoOf(writtenAt))
      + element('ChangeTime', isoOf(header.statusChangedAt ?? changedAt)) + element('Last-Modified', httpDateOf(changedAt))
    : '';
  const properties = (kind === 'file' ? element('Content-Length', sizeBytes) : '') + times + (include.has('etag') ? element('Etag', etagOf(changedAt)) : '');
  const attributes = include.has('attributes') ? element('Attributes', header.attributes ?? defaultAttributes(kind)) : '';
  const permissionKey = include.has('permissionkey') ? element('PermissionKey', header.permissionKey ?? defaultPermissionKey(kind)) : '';
  const tag = kind === 'file' ? 'File' : 'Directory';
  return `<${tag}>${nameElement(name)}${element('FileId', header.fileId)}<Properties>${properties}</Properties>${attributes}${permissionKey}</${tag}>`;
}

function includesOf(text: string | undefined): ReadonlySet<string> {
  const words = (text ?? '').toLowerCase().split(',').map((word) => word.trim()).filter((word) => word !== '');
  const unknown = words.find((word) => !INCLUDES.includes(word));
  if (unknown !== undefined) throw invalidQuery('include', text);
  return new Set(words);
}
