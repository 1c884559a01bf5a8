import { AzureFilesError } from '../azure-error.js';
import { fileSystemHeaders, metadataHeaders, metadataOf } from '../headers.js';
import { filePath, type Operation, type OperationContext, pathOf, shareOf, viewOf, writerOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import { smbPropertiesOf } from '../smb-properties.js';
import type { Entry } from '../storage/entry.js';
import type { ShareFolder } from '../storage/share-folder.js';

/** Operations on folders, the root folder of a share included. */
export const directoryOperations: readonly Operation[] = [
  { name: 'Create Directory', method: 'PUT', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'cw' }, run: createDirectory },
  { name: 'Get Directory Properties', method: 'GET', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getDirectory },
  { name: 'Get Directory Properties', method: 'HEAD', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getDirectory },
  { name: 'Get Directory Metadata', method: 'GET', target: 'path', restype: 'directory', comp: 'metadata', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getDirectory },
  { name: 'Get Directory Metadata', method: 'HEAD', target: 'path', restype: 'directory', comp: 'metadata', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: getDirectory },
  { name: 'Set Directory Properties', method: 'PUT', target: 'path', restype: 'directory', comp: 'properties', needs: { level: 'o', anyOf: 'w' }, run: setProperties },
  { name: 'Set Directory Metadata', method: 'PUT', target: 'path', restype: 'directory', comp: 'metadata', needs: { level: 'o', anyOf: 'w' }, run: setMetadata },
  { name: 'Delete Directory', method: 'DELETE', target: 'path', restype: 'directory', needs: { level: 'o', anyOf: 'd' }, run: deleteDirectory },
];

/** What the parent of `path` is called by in answers; children of the root have "0". */
export async function parentIdOf(folder: ShareFolder, path: string): Promise<string> {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '0' : ((await folder.find(path.slice(0, slash)))?.record.header.fileId ?? '0');
}

/** Why nothing is at `path`: its parent is missing too, or only it. */
export async function absence(folder: ShareFolder, path: string): Promise<AzureFilesError> {
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return new AzureFilesError((await folder.find(parent)) === undefined ? 'ParentNotFound' : 'ResourceNotFound');
}

async function createDirectory(context: OperationContext): Promise<void> {
  refuseBody(context.exchange);
  const { folder, permissions } = shareOf(context);
  const path = pathOf(context);
  if (path === '') throw new AzureFilesError('ResourceAlreadyExists');
  const smb = await smbPropertiesOf(context.exchange, permissions);
  const entry = await folder.createFolder(path, { metadata: metadataOf(context.exchange), smb });
  context.exchange.reply(201, { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), 'x-ms-request-server-encrypted': 'true' });
}

async function getDirectory(context: OperationContext): Promise<void> {
  const { folder } = viewOf(context);
  const path = pathOf(context);
  const entry = await findFolder(folder, path);
  const headers = { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), ...metadataHeaders(entry.record.header.metadata) };
  context.exchange.reply(200, { ...headers, 'x-ms-server-encrypted': 'true' });
}

async function setProperties(context: OperationContext): Promise<void> {
  refuseBody(context.exchange);
  const { folder, permissions } = shareOf(context);
  const path = pathOf(context);
  await findFolder(folder, path);
  const entry = await folder.change(path, { smb: await smbPropertiesOf(context.exchange, permissions) }, writerOf(context));
  context.exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), 'x-ms-request-server-encrypted': 'true' });
}

async function setMetadata(context: OperationContext): Promise<void> {
  refuseBody(context.exchange);
  const { folder } = shareOf(context);
  const path = pathOf(context);
  await findFolder(folder, path);
  const entry = await folder.change(path, { metadata: metadataOf(context.exchange) }, writerOf(context));
  context.exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(folder, path)), 'x-ms-request-server-encrypted': 'true' });
}

async function deleteDirectory(context: OperationContext): Promise<void> {
  await shareOf(context).folder.removeFolder(filePath(context));
  context.exchange.reply(202, {});
}

async function findFolder(folder: ShareFolder, path: string): Promise<Entry> {
  const entry = await folder.find(path);
  if (entry === undefined) throw await absence(folder, path);
  if (entry.kind === 'file') throw new AzureFilesError('ResourceTypeMismatch');
  return entry;
}
