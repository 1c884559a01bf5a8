import { fileSystemHeaders, metadataOf } from '../headers.js';
import { filePath, type Operation, type OperationContext, shareOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import { smbPropertiesOf } from '../smb-properties.js';
import type { Entry } from '../storage/entry.js';
import { parentIdOf } from './directory-operations.js';

/** Moving files and folders within a share. */
export const renameOperations: readonly Operation[] = [
  { name: 'Rename File', method: 'PUT', target: 'path', comp: 'rename', needs: { level: 'o', anyOf: 'w' }, run: (context) => rename(context, 'file') },
  { name: 'Rename Directory', method: 'PUT', target: 'path', restype: 'directory', comp: 'rename', needs: { level: 'o', anyOf: 'w' }, run: (context) => rename(context, 'folder') },
];

async function rename(context: OperationContext, kind: Entry['kind']): Promise<void> {
  const { exchange, service, grant } = context;
  refuseBody(exchange);
  const { folder, name, permissions } = shareOf(context);
  const source = service.copySources.renameSource(exchange.requiredHeader('x-ms-file-rename-source'), {
    grant, account: context.account.name, share: name, head: exchange.head, keepTrailingDots: exchange.header('x-ms-source-allow-trailing-dot') === 'true',
  });
  const metadata = metadataOf(exchange);
  const type = exchange.header('x-ms-content-type');
  const before = type === undefined ? undefined : await folder.find(source);
  const entry = await folder.rename(source, filePath(context), {
    kind,
    replace: exchange.flag('x-ms-file-rename-replace-if-exists'),
    ignoresReadOnly: exchange.flag('x-ms-file-rename-ignore-readonly'),
    smb: await smbPropertiesOf(exchange, permissions),
    // Without any of its own the request leaves what the file has.
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
    ...(before === undefined || type === undefined ? {} : { content: { ...before.record.header.content, type } }),
    writer: { leaseId: exchange.header('x-ms-source-lease-id') },
    targetWriter: { leaseId: exchange.header('x-ms-destination-lease-id') },
  });
  exchange.reply(200, { ...fileSystemHeaders(entry, await parentIdOf(folder, entry.path)), 'x-ms-request-server-encrypted': 'true' });
}
