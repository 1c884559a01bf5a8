import { AzureFilesError } from '../azure-error.js';
import { type Operation, type OperationContext, shareOf } from '../operation.js';
import { readTextBody } from '../request-body.js';
import { permissionFormat } from '../smb-properties.js';
import { PERMISSION_CHARACTERS_MAX, type PermissionFormat } from '../storage/permission-store.js';

/** Operations on the security descriptors that a share keeps. */
export const permissionOperations: readonly Operation[] = [
  { name: 'Create Permission', method: 'PUT', target: 'share', restype: 'share', comp: 'filepermission', needs: { level: 'c', anyOf: 'cw' }, run: createPermission },
  { name: 'Get Permission', method: 'GET', target: 'share', restype: 'share', comp: 'filepermission', needs: { level: 'c', anyOf: 'r' }, run: getPermission },
];

async function createPermission(context: OperationContext): Promise<void> {
  const { permissions } = shareOf(context);
  // In JSON a descriptor may take twice its length.
  const body = parseBody(await readTextBody(context.exchange, 2 * PERMISSION_CHARACTERS_MAX));
  const key = await permissions.put(body);
  context.exchange.reply(201, { 'x-ms-file-permission-key': key });
}

async function getPermission(context: OperationContext): Promise<void> {
  const { exchange } = context;
  const found = shareOf(context).permissions.get(exchange.requiredHeader('x-ms-file-permission-key'));
  const format = exchange.header('x-ms-file-permission-format') === undefined ? found.format : permissionFormat(exchange);
  // Descriptors are kept as they came: turning one form into the other takes a Windows security library.
  if (format !== found.format) throw new AzureFilesError('FileInvalidPermission');
  exchange.reply(200, { 'content-type': 'application/json' }, JSON.stringify(found));
}

function parseBody(text: string): { readonly permission: string; readonly format: PermissionFormat } {
  try {
    const { permission, format = 'sddl' } = JSON.parse(text) as { readonly permission?: unknown; readonly format?: unknown };
    const form = String(format).toLowerCase();
    if (typeof permission !== 'string' || (form !== 'sddl' && form !== 'binary')) throw new AzureFilesError('InvalidInput');
    return { permission, format: form };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) throw new AzureFilesError('InvalidInput', { cause: error });
    throw error;
  }
}
