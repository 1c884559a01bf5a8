import { AzureFilesError, invalidQuery } from '../azure-error.js';
import { type Operation, type OperationContext, pathOf, viewOf } from '../operation.js';
import { refuseBody } from '../request-body.js';
import type { OpenHandle } from '../storage/open-handles.js';
import { element, nameElementOf, xmlDocument } from '../xml.js';
import { absence, parentIdOf } from './directory-operations.js';
import { pageSize } from './pages.js';

/** Operations on the handles that SMB clients hold open. */
export const handleOperations: readonly Operation[] = [
  { name: 'List Handles', method: 'GET', target: 'path', comp: 'listhandles', needs: { level: 'o', anyOf: 'r' }, onSnapshots: true, run: listHandles },
  { name: 'Force Close Handles', method: 'PUT', target: 'path', comp: 'forceclosehandles', needs: { level: 'o', anyOf: 'w' }, onSnapshots: true, run: closeHandles },
];

async function listHandles(context: OperationContext): Promise<void> {
  const { exchange } = context;
  const after = markerOf(context);
  const wanted = (await handlesOf(context)).slice(after);
  const page = wanted.slice(0, pageSize(exchange));
  const { folder } = viewOf(context);
  const listed: string[] = [];
  for (const handle of page) {
    const fileId = (await folder.find(handle.path))?.record.header.fileId ?? '0';
    listed.push(handleElement(handle, { fileId, parentId: await parentIdOf(folder, handle.path) }));
  }
  const next = wanted.length > page.length ? String(after + page.length) : '';
  exchange.replyXml(200, {}, xmlDocument(`<EnumerationResults><Entries>${listed.join('')}</Entries>${element('NextMarker', next)}</EnumerationResults>`));
}

async function closeHandles(context: OperationContext): Promise<void> {
  const { exchange } = context;
  refuseBody(exchange);
  const id = exchange.requiredHeader('x-ms-handle-id');
  const { handles } = viewOf(context).folder;
  const wanted = (await handlesOf(context)).filter((handle) => id === '*' || handle.id === id);
  if (id !== '*' && wanted.length === 0) throw new AzureFilesError('ResourceNotFound');
  const closed = wanted.filter((handle) => handles.close(handle.id)).length;
  exchange.reply(200, { 'x-ms-number-of-handles-closed': closed, 'x-ms-number-of-handles-failed': 0 });
}

async function handlesOf(context: OperationContext): Promise<OpenHandle[]> {
  const { folder } = viewOf(context);
  const path = pathOf(context);
  if ((await folder.find(path)) === undefined) throw await absence(folder, path);
  return folder.handles.list(path, context.exchange.flag('x-ms-recursive'));
}

function markerOf({ exchange }: OperationContext): number {
  const text = exchange.query('marker') ?? '';
  if (!/^\d{0,9}$/.test(text)) throw invalidQuery('marker', text);
  return Number(text);
}

function handleElement(handle: OpenHandle, ids: { readonly fileId: string; readonly parentId: string }): string {
  const rights = handle.sharing === 'read' ? ['Read'] : handle.sharing === 'read-write' ? ['Read', 'Write'] : ['Read', 'Write', 'Delete'];
  return `<Handle>${[
    element('HandleId', handle.id), nameElementOf('Path', handle.path), element('FileId', ids.fileId), element('ParentId', ids.parentId),
    element('SessionId', handle.sessionId), element('ClientIp', handle.clientIp), element('ClientName', handle.clientName),
    element('OpenTime', handle.openedAt.toUTCString()), `<AccessRightList>${rights.map((right) => element('AccessRight', right)).join('')}</AccessRightList>`,
  ].join('')}</Handle>`;
}
