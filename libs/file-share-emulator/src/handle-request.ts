import type { IncomingMessage, ServerResponse } from 'node:http';

import { authenticate } from './access/authenticate.js';
import { checkGrant } from './access/grant.js';
import { AzureFilesError, invalidQuery } from './azure-error.js';
import type { CopySourceReader } from './copy-source.js';
import type { EmulatedAccount } from './emulator-options.js';
import { Exchange } from './exchange.js';
import type { Operation, Target } from './operation.js';
import { directoryOperations } from './operations/directory-operations.js';
import { fileOperations } from './operations/file-operations.js';
import { rangeOperations } from './operations/range-operations.js';
import { shareOperations } from './operations/share-operations.js';
import type { ShareCatalogue } from './storage/share-catalogue.js';
import type { TrafficMeter } from './traffic.js';

const OPERATIONS: readonly Operation[] = [...shareOperations, ...directoryOperations, ...fileOperations, ...rangeOperations];
/** No operation of the service has any of these; ignoring them would do what the client made conditional. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];
/** Asked for and not offered: refused, as ignoring them would act on something else than was meant. */
const REFUSED_PARAMETERS = ['sharesnapshot', 'prevsharesnapshot'];
const REFUSED_HEADERS = ['x-ms-lease-id', 'x-ms-copy-source-authorization', 'x-ms-source-if-match-crc64', 'x-ms-source-if-none-match-crc64'];

/** What all requests of one emulator share. */
export interface ServiceContext {
  readonly accounts: ReadonlyMap<string, EmulatedAccount>;
  readonly catalogues: ReadonlyMap<string, ShareCatalogue>;
  readonly traffic: TrafficMeter;
  readonly copySources: CopySourceReader;
  /** Told of failures that are no answer of Azure's: defects and the host's file system. */
  readonly onDefect: (error: unknown, operation: string) => void;
}

/** Serves one request; every failure becomes an answer. */
export async function handleRequest(service: ServiceContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const exchange = new Exchange(request, response);
  let operation: Operation | undefined;
  try {
    const { head } = exchange;
    exchange.checkVersion();
    const grant = authenticate(head, service.accounts, new Date());
    operation = chooseOperation(exchange);
    checkGrant(grant, operation.needs);
    refuseUnsupported(exchange);
    const { account } = head.address;
    const { traffic, copySources } = service;
    const endpoint = `http://${request.headers.host ?? ''}/${account}/`;
    await operation.run({ exchange, grant, account, endpoint, shares: service.catalogues.get(account)!, traffic, copySources });
  } catch (error) {
    if (!(error instanceof AzureFilesError) && !response.destroyed && !request.destroyed) service.onDefect(error, operation?.name ?? 'unknown');
    exchange.fail(error instanceof AzureFilesError ? error : new AzureFilesError('InternalError', { cause: error }));
  }
}

function chooseOperation(exchange: Exchange): Operation {
  const { method, address } = exchange.head;
  const restype = exchange.query('restype')?.toLowerCase();
  const comp = exchange.query('comp')?.toLowerCase();
  // A share's root folder is addressed by the share alone.
  const isShare = restype === 'share' || (address.path === '' && restype === undefined);
  const target: Target = address.share === undefined ? 'service' : isShare ? 'share' : 'path';
  const candidates = OPERATIONS.filter((operation) => operation.target === target && operation.restype === restype && operation.comp === comp);
  const found = candidates.find((operation) => operation.method === method);
  if (found !== undefined) return found;
  if (candidates.length > 0) throw new AzureFilesError('UnsupportedHttpVerb', { headers: { allow: candidates.map((operation) => operation.method).join(', ') } });
  throw comp === undefined ? invalidQuery('restype', restype) : invalidQuery('comp', comp);
}

function refuseUnsupported(exchange: Exchange): void {
  if (CONDITIONS.some((name) => exchange.header(name) !== undefined)) throw new AzureFilesError('ConditionHeadersNotSupported');
  const parameter = REFUSED_PARAMETERS.find((name) => exchange.query(name) !== undefined);
  if (parameter !== undefined) throw new AzureFilesError('UnsupportedQueryParameter', { elements: { QueryParameterName: parameter } });
  const header = REFUSED_HEADERS.find((name) => exchange.header(name) !== undefined);
  if (header !== undefined) throw new AzureFilesError('UnsupportedHeader', { elements: { HeaderName: header } });
}
