import { TiB } from '#quantities';

import { allowsAny } from '../access/grant.js';
import { AzureFilesError, invalidHeader } from '../azure-error.js';
import { contentOf, fileSystemHeaders, metadataOf, numberHeader } from '../headers.js';
import { filePath, type Operation, type OperationContext, pathOf, shareOf, writerOf } from '../operation.js';
import { hasBody, refuseBody, withBody } from '../request-body.js';
import { smbPropertiesOf } from '../smb-properties.js';
import type { Entry, NewFile } from '../storage/entry.js';
import { etagOf } from '../storage/ticks.js';
import { absence, parentIdOf } from './directory-operations.js';

/** The largest file. */
const FILE_BYTES_MAX = 4 * TiB;
/** The first version in which a new file can bring its content. */
const CONTENT_SINCE = '2026-04-06';

/** Operations that change whole files. */
export const fileOperations: readonly Operation[] = [
  { name: 'Create File', method: 'PUT', target: 'path', needs: { level: 'o', anyOf: 'cw' }, run: createFile },
  { name: 'Set File Properties', method: 'PUT', target: 'path', comp: 'properties', needs: { level: 'o', anyOf: 'w' }, run: setFileProperties },
  { name: 'Set File Metadata', method: 'PUT', target: 'path', comp: 'metadata', needs: { level: 'o', anyOf: 'w' }, run: setFileMetadata },
  { name: 'Delete File', method: 'DELETE', target: 'path', needs: { level: 'o', anyOf: 'd' }, run: deleteFile },
];

async function createFile(context: OperationContext): Promise<void> {
  const { exchange } = context;
  const type = exchange.requiredHeader('x-ms-type');
  if (type.toLowerCase() !== 'file') throw invalidHeader('x-ms-type', type);
  await checkMayCreate(context);
  const { permissions } = shareOf(context);
  const sizeBytes = numberHeader(exchange, 'x-ms-content-length', FILE_BYTES_MAX);
  const file: NewFile = { sizeBytes, content: contentOf(exchange), metadata: metadataOf(exchange), smb: await smbPropertiesOf(exchange, permissions) };
  if (hasBody(exchange)) return createWithContent(context, file);
  await replyCreated(context, await shareOf(context).folder.createFile(filePath(context), file, writerOf(context)));
}

async function createWithContent(context: OperationContext, file: NewFile): Promise<void> {
  const { exchange, line, account, service } = context;
  if ((exchange.header('x-ms-version') ?? '') < CONTENT_SINCE) throw invalidHeader('Content-Length', exchange.header('content-length'));
  const { folder } = shareOf(context);
  const path = filePath(context);
  await withBody(context, async (bytes, md5) => {
    if (bytes.length > file.sizeBytes) throw new AzureFilesError('InvalidRange');
    await line.carry(bytes.length);
    await folder.createFile(path, file, writerOf(context));
    const entry = await folder.write(path, { offset: 0, bytes, keepsWriteTime: file.smb?.writtenAt !== undefined }, writerOf(context));
    service.traffic.add(account.name, 'ingressBytes', bytes.length);
    await replyCreated(context, entry, md5);
  });
}

async function replyCreated({ exchange, ...context }: OperationContext, entry: Entry, md5?: string): Promise<void> {
  const { folder } = shareOf({ exchange, ...context });
  const content = md5 === undefined ? {} : { 'content-md5': md5 };
  exchange.reply(201, { ...fileSystemHeaders(entry, await parentIdOf(folder, entry.path)), ...content, 'x-ms-request-server-encrypted': 'true' });
}

/** Permission to create does not cover replacing; a share that is full on purpose takes nothing new. */
export async function checkMayCreate(context: OperationContext): Promise<void> {
  const { folder } = shareOf(context);
  if (!allowsAny(context.grant, 'w') && (await folder.find(filePath(context))) !== undefined) throw new AzureFilesError('AuthorizationPermissionMismatch');
  checkRoom(context);
}

/** @throws {AzureFilesError} `ShareSizeLimitReached` on a share that is full on purpose. */
export function checkRoom({ line }: OperationContext): void {
  if (line.strike('share-full') !== undefined) throw new AzureFilesError('ShareSizeLimitReached');
}

async function setFileProperties(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const resize = exchange.header('x-ms-content-length') === undefined ? {} : { sizeBytes: numberHeader(exchange, 'x-ms-content-length', FILE_BYTES_MAX) };
  const { folder, permissions } = shareOf(context);
  await findFile(context);
  if (resize.sizeBytes !== undefined) checkRoom(context);
  const smb = await smbPropertiesOf(exchange, permissions);
  const entry = await folder.change(filePath(context), { content: contentOf(exchange), smb, ...resize }, writerOf(context));
  exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(folder, pathOf(context))), 'x-ms-request-server-encrypted': 'true' });
}

async function setFileMetadata(context: OperationContext): Promise<void> {
  refuseBody(context.exchange);
  await findFile(context);
  const entry = await shareOf(context).folder.change(filePath(context), { metadata: metadataOf(context.exchange) }, writerOf(context));
  context.exchange.reply(200, { etag: etagOf(entry.record.changedAt), 'x-ms-request-server-encrypted': 'true' });
}

async function deleteFile(context: OperationContext): Promise<void> {
  await shareOf(context).folder.removeFile(filePath(context), writerOf(context));
  context.exchange.reply(202, {});
}

/** The file that a request changes. */
export async function findFile(context: OperationContext): Promise<Entry> {
  const { folder } = shareOf(context);
  const path = filePath(context);
  const entry = await folder.find(path);
  if (entry === undefined) throw await absence(folder, path);
  if (entry.kind === 'folder') throw new AzureFilesError('ResourceTypeMismatch');
  return entry;
}
