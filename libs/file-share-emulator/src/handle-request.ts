import type { IncomingMessage, ServerResponse } from 'node:http';

import { authenticate } from './access/authenticate.js';
import { checkGrant } from './access/grant.js';
import { accountOfHost } from './address.js';
import { AzureFilesError, invalidQuery } from './azure-error.js';
import { Line } from './control/line.js';
import { Exchange } from './exchange.js';
import type { Operation, Target } from './operation.js';
import { copyOperations } from './operations/copy-operations.js';
import { directoryOperations } from './operations/directory-operations.js';
import { fileOperations } from './operations/file-operations.js';
import { handleOperations } from './operations/handle-operations.js';
import { leaseOperations } from './operations/lease-operations.js';
import { listingOperations } from './operations/listing-operations.js';
import { permissionOperations } from './operations/permission-operations.js';
import { policyOperations } from './operations/policy-operations.js';
import { rangeListOperations } from './operations/range-list-operations.js';
import { rangeOperations } from './operations/range-operations.js';
import { readOperations } from './operations/read-operations.js';
import { renameOperations } from './operations/rename-operations.js';
import { serviceOperations } from './operations/service-operations.js';
import { shareOperations } from './operations/share-operations.js';
import type { ServiceContext } from './service-context.js';

/** Those that a header tells from others come before those others. */
const OPERATIONS: readonly Operation[] = [
  ...serviceOperations, ...shareOperations, ...policyOperations, ...leaseOperations, ...permissionOperations,
  ...directoryOperations, ...listingOperations, ...copyOperations, ...fileOperations, ...readOperations, ...renameOperations,
  ...rangeOperations, ...rangeListOperations, ...handleOperations,
];
/** The names of all operations, as faults are limited to them. */
export const OPERATION_NAMES: readonly string[] = [...new Set(OPERATIONS.map(({ name }) => name))];
/** No operation of the service has any of these; ignoring them would do what the client made conditional. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];

/** Of NFS and of paid bursting, which are not offered: ignoring them would do something else than was meant. */
const REFUSED_HEADERS = [
  'x-ms-mode', 'x-ms-owner', 'x-ms-group', 'x-ms-root-squash', 'x-ms-enable-snapshot-virtual-directory-access',
  'x-ms-share-paid-bursting-enabled', 'x-ms-share-paid-bursting-max-iops', 'x-ms-share-paid-bursting-max-bandwidth-mibps',
];

/** Serves one request; every failure becomes an answer. */
export async function handleRequest(service: ServiceContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const exchange = new Exchange(request, response);
  let operation: Operation | undefined;
  try {
    const { head } = exchange;
    exchange.checkVersion();
    const grant = authenticate(head, service.access, new Date());
    operation = chooseOperation(exchange);
    const scope = { account: head.address.account, share: head.address.share, operation: operation.name };
    await service.disturbances.admit(scope);
    checkGrant(grant, operation.needs);
    refuseUnsupported(exchange, operation);
    const account = service.access.accounts.get(head.address.account)!;
    const shares = service.catalogues.get(account.name)!;
    await operation.run({ exchange, grant, account, endpoint: endpointOf(exchange), shares, line: new Line(service.disturbances, scope), service });
  } catch (error) {
    if (!(error instanceof AzureFilesError) && !response.destroyed && !request.destroyed) service.onDefect(error, operation?.name ?? 'unknown');
    exchange.fail(error instanceof AzureFilesError ? error : new AzureFilesError('InternalError', { cause: error }));
  }
}

/** The account's URL as the client reached it. */
function endpointOf({ head }: Exchange): string {
  const host = head.headers.get('host') ?? '';
  return `${head.secure ? 'https' : 'http'}://${host}/${accountOfHost(host) === undefined ? `${head.address.account}/` : ''}`;
}

function chooseOperation(exchange: Exchange): Operation {
  const { method, address } = exchange.head;
  const restype = exchange.query('restype')?.toLowerCase();
  const comp = exchange.query('comp')?.toLowerCase();
  // A share's root folder is addressed by the share alone.
  const isShare = restype === 'share' || (address.path === '' && restype === undefined && !ROOT_FOLDER_COMPS.includes(comp ?? ''));
  const target: Target = address.share === undefined ? 'service' : isShare ? 'share' : 'path';
  const candidates = OPERATIONS.filter((operation) => operation.target === target && operation.restype === restype && operation.comp === comp);
  const found = candidates.find((operation) => operation.method === method && (operation.header === undefined || exchange.header(operation.header) !== undefined));
  if (found !== undefined) return found;
  if (candidates.length > 0) throw new AzureFilesError('UnsupportedHttpVerb', { headers: { allow: candidates.map((operation) => operation.method).join(', ') } });
  throw comp === undefined ? invalidQuery('restype', restype) : invalidQuery('comp', comp);
}

/** What is asked of a share's root folder without saying that it is a folder. */
const ROOT_FOLDER_COMPS = ['listhandles', 'forceclosehandles'];

function refuseUnsupported(exchange: Exchange, { onSnapshots, name }: Operation): void {
  if (CONDITIONS.some((condition) => exchange.header(condition) !== undefined)) throw new AzureFilesError('ConditionHeadersNotSupported');
  if (exchange.query('sharesnapshot') !== undefined && onSnapshots !== true) throw new AzureFilesError('ShareSnapshotOperationNotSupported');
  if (exchange.query('prevsharesnapshot') !== undefined && name !== 'List Ranges') {
    throw new AzureFilesError('UnsupportedQueryParameter', { elements: { QueryParameterName: 'prevsharesnapshot' } });
  }
  const header = REFUSED_HEADERS.find((candidate) => exchange.header(candidate) !== undefined);
  if (header !== undefined) throw new AzureFilesError('UnsupportedHeader', { elements: { HeaderName: header } });
}
