import { AzureFilesError, invalidQuery } from '../azure-error.js';
import { fileSystemHeaders, metadataHeaders, metadataOf } from '../headers.js';
import { type Operation, type OperationContext, pathOf, shareOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import type { Entry, ShareFolder } from '../storage/share-folder.js';
import { etagOf, httpDateOf, isoOf } from '../storage/ticks.js';
import { element, escapeXml, nameElement, xmlDocument } from '../xml.js';
import { pageSize } from './share-operations.js';

/** Operations on folders, the root folder of a share included. */
export const directoryOperations: readonly Operation[] = [
  { name: 'Create Directory', method: 'PUT', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'cw' }, run: createDirectory },
  { name: 'Get Directory Properties', method: 'GET', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'r' }, run: getDirectory },
  { name: 'Get Directory Properties', method: 'HEAD', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'r' }, run: getDirectory },
  { name: 'Delete Directory', method: 'DELETE', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'd' }, run: deleteDirectory },
  { name: 'List Directories and Files', method: 'GET', target: 'path', restype: 'directory', comp: 'list', needs: { level: 'c', anyOf: 'l' }, run: listDirectory },
];

/** What the parent of `path` is called by in answers; children of the root have "0". */
export async function parentIdOf(folder: ShareFolder, path: string): Promise<string> {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '0' : ((await folder.find(path.slice(0, slash)))?.record.header.fileId ?? '0');
}

async function createDirectory(context: OperationContext): Promise<void> {
  refuseBody(context.exchange);
  const { folder } = shareOf(context);
  const path = pathOf(context);
  if (path === '') throw new AzureFilesError('ResourceAlreadyExists');
  const entry = await folder.createFolder(path, metadataOf(context.exchange));
  context.exchange.reply(201, { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), 'x-ms-request-server-encrypted': 'true' });
}

async function getDirectory(context: OperationContext): Promise<void> {
  const { folder } = shareOf(context);
  const path = pathOf(context);
  const entry = await folder.find(path);
  if (entry === undefined) throw await absence(folder, path);
  if (entry.kind === 'file') throw new AzureFilesError('ResourceTypeMismatch');
  const headers = { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), ...metadataHeaders(entry.record.header.metadata) };
  context.exchange.reply(200, { ...headers, 'x-ms-server-encrypted': 'true' });
}

async function deleteDirectory(context: OperationContext): Promise<void> {
  const path = pathOf(context);
  if (path === '') throw new AzureFilesError('InvalidUri');
  const { folder } = shareOf(context);
  if ((await folder.find(path)) === undefined) throw await absence(folder, path);
  await folder.removeFolder(path);
  context.exchange.reply(202, {});
}

/** Why nothing is at `path`: its parent is missing too, or only it. */
export async function absence(folder: ShareFolder, path: string): Promise<AzureFilesError> {
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return new AzureFilesError((await folder.find(parent)) === undefined ? 'ParentNotFound' : 'ResourceNotFound');
}

async function listDirectory(context: OperationContext): Promise<void> {
  const { exchange, endpoint } = context;
  const share = shareOf(context);
  const path = pathOf(context);
  if ((await share.folder.find(path)) === undefined) throw await absence(share.folder, path);
  const prefix = (exchange.query('prefix') ?? '').toLowerCase();
  const after = readMarker(exchange.query('marker'));
  const names = (await share.folder.names(path)).filter((name) => name.toLowerCase().startsWith(prefix) && name > after).toSorted();
  const page = names.slice(0, pageSize(exchange));
  const next = names.length > page.length ? Buffer.from(page.at(-1) ?? '').toString('base64url') : '';
  const include = new Set((exchange.query('include') ?? '').toLowerCase().split(','));
  const listed: string[] = [];
  for (const name of page) {
    const entry = await share.folder.find(path === '' ? name : `${path}/${name}`);
    if (entry !== undefined) listed.push(entryElement(name, entry, include));
  }
  const attributes = `ServiceEndpoint="${escapeXml(endpoint)}" ShareName="${share.name}" DirectoryPath="${escapeXml(path)}"`;
  const asked = ['Prefix', 'Marker', 'MaxResults'].map((name) => element(name, exchange.query(name.toLowerCase()))).join('');
  const id = element('DirectoryId', path === '' ? '0' : (await share.folder.find(path))?.record.header.fileId);
  exchange.replyXml(200, {}, xmlDocument(
    `<EnumerationResults ${attributes}>${asked}${id}<Entries>${listed.join('')}</Entries>${element('NextMarker', next)}</EnumerationResults>`,
  ));
}

function entryElement(name: string, { kind, sizeBytes, record }: Entry, include: ReadonlySet<string>): string {
  const times = include.has('timestamps')
    ? element('CreationTime', isoOf(record.header.createdAt)) + element('LastAccessTime', isoOf(record.changedAt)) + element('LastWriteTime', isoOf(record.changedAt))
      + element('ChangeTime', isoOf(record.changedAt)) + element('Last-Modified', httpDateOf(record.changedAt))
    : '';
  const properties = (kind === 'file' ? element('Content-Length', sizeBytes) : '') + times + (include.has('etag') ? element('Etag', etagOf(record.changedAt)) : '');
  const attributes = include.has('attributes') ? element('Attributes', kind === 'file' ? 'Archive' : 'Directory') : '';
  const tag = kind === 'file' ? 'File' : 'Directory';
  return `<${tag}>${nameElement(name)}${element('FileId', record.header.fileId)}<Properties>${properties}</Properties>${attributes}</${tag}>`;
}

function readMarker(text: string | undefined): string {
  if (text === undefined || text === '') return '';
  if (!/^[A-Za-z0-9_-]{1,1400}$/.test(text)) throw invalidQuery('marker', text);
  return Buffer.from(text, 'base64url').toString();
}
