import { randomUUID } from 'node:crypto';

import { allowsAny } from '../access/grant.js';
import { AzureFilesError, invalidHeader } from '../azure-error.js';
import type { CopySource, SourceDescription } from '../copy-source.js';
import type { Exchange } from '../exchange.js';
import { changeHeaders, metadataOf } from '../headers.js';
import { filePath, type Operation, type OperationContext, shareOf, writerOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import { smbPropertiesOf } from '../smb-properties.js';
import type { CopyState } from '../storage/copy-state.js';
import type { SmbProperties } from '../storage/entry.js';
import { checkMayCreate, findFile } from './file-operations.js';

/** Copying whole files, and giving up on it. */
export const copyOperations: readonly Operation[] = [
  { name: 'Copy File', method: 'PUT', target: 'path', header: 'x-ms-copy-source', needs: { level: 'o', anyOf: 'cw' }, run: copyFile },
  { name: 'Abort Copy File', method: 'PUT', target: 'path', comp: 'copy', needs: { level: 'o', anyOf: 'w' }, run: abortCopy },
];

/** Within an account a copy is done when it is answered, as the real service was recorded; between accounts it goes on behind the answer. */
async function copyFile(context: OperationContext): Promise<void> {
  const { exchange, account, grant, line, service } = context;
  refuseBody(exchange);
  await checkMayCreate(context);
  const source: CopySource = {
    url: exchange.requiredHeader('x-ms-copy-source'),
    authorization: exchange.header('x-ms-copy-source-authorization'),
    // Who may read everything in the account may read the source.
    trustedAccount: grant.kind === 'service-sas' || !allowsAny(grant, 'r') ? undefined : account.name,
    keepTrailingDots: exchange.header('x-ms-source-allow-trailing-dot') === 'true',
    target: { account, line },
  };
  const description = await service.copySources.describe(source);
  const state: CopyState = { id: randomUUID(), source: source.url.split('?')[0]!, status: 'pending', doneBytes: 0, totalBytes: description.sizeBytes };
  const { folder, permissions } = shareOf(context);
  const path = filePath(context);
  const given = metadataOf(exchange);
  const writer = { ...writerOf(context), ignoresReadOnly: exchange.flag('x-ms-file-copy-ignore-readonly') };
  await folder.createFile(path, {
    sizeBytes: description.sizeBytes,
    content: description.content,
    metadata: Object.keys(given).length > 0 ? given : description.metadata,
    smb: archived(exchange, sourceProperties(exchange, description, await smbPropertiesOf(exchange, permissions))),
  }, writer);
  const begun = await folder.change(path, { copy: state }, { isItsCopy: true, ...writer });
  const { finished } = service.copies.begin({ state, source, description, folder, path, account: account.name });
  const stays = line.strike('copy-pending') !== undefined || description.account !== account.name;
  const entry = stays ? begun : ((await finished) ?? begun);
  exchange.reply(202, {
    ...changeHeaders(entry.record.changedAt),
    'x-ms-copy-id': state.id,
    'x-ms-copy-status': stays ? 'pending' : (entry.record.header.copy?.status ?? 'pending'),
  });
}

/** Where a request says `source`, the properties of the source are taken. */
function sourceProperties(exchange: Exchange, { entry }: SourceDescription, smb: SmbProperties): SmbProperties {
  const wants = (name: string): boolean => exchange.header(name)?.toLowerCase() === 'source';
  if (entry === undefined) return smb;
  const { header, writtenAt } = entry.record;
  return {
    ...smb,
    ...(wants('x-ms-file-attributes') ? { attributes: header.attributes } : {}),
    ...(wants('x-ms-file-creation-time') ? { createdAt: header.createdAt } : {}),
    ...(wants('x-ms-file-last-write-time') ? { writtenAt } : {}),
    ...(exchange.header('x-ms-file-permission-copy-mode')?.toLowerCase() === 'source' ? { permissionKey: header.permissionKey } : {}),
  };
}

function archived(exchange: Exchange, smb: SmbProperties): SmbProperties {
  const isAsked = exchange.flag('x-ms-file-copy-set-archive');
  if (!isAsked || smb.attributes === undefined || smb.attributes.includes('Archive')) return smb;
  return { ...smb, attributes: smb.attributes === 'None' ? 'Archive' : `${smb.attributes} | Archive` };
}

async function abortCopy(context: OperationContext): Promise<void> {
  const { exchange, service } = context;
  refuseBody(exchange);
  const action = exchange.requiredHeader('x-ms-copy-action');
  if (action.toLowerCase() !== 'abort') throw invalidHeader('x-ms-copy-action', action);
  const { copy } = (await findFile(context)).record.header;
  if (copy?.status !== 'pending') throw new AzureFilesError('NoPendingCopyOperation');
  if (copy.id !== exchange.query('copyid')) throw new AzureFilesError('CopyIdMismatch');
  await service.copies.abort(copy.id);
  const aborted: CopyState = { ...copy, status: 'aborted', completedAt: new Date().toUTCString() };
  // What was copied goes; the metadata stays.
  await shareOf(context).folder.change(filePath(context), { sizeBytes: 0, copy: aborted }, { ...writerOf(context), isItsCopy: true, ignoresReadOnly: true });
  exchange.reply(204, {});
}
