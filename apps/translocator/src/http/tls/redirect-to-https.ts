import { createServer } from 'node:http';

import { SECOND_MS } from '#quantities';

/** A host name or address, without a port. */
const HOST = /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?=(?::\d{1,5})?$)/;
/** Nobody needs longer to ask for a redirect. */
const REQUEST_MAX_MS = 5 * SECOND_MS;

/** A plain listener that does nothing but send everybody to the same path over https. */
export interface HttpsRedirect {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens on `port`; requests are answered 308 to `httpsPort`, and 400 where their `Host` cannot be a host. */
export async function redirectToHttps(at: { readonly host: string; readonly port: number; readonly httpsPort: number }): Promise<HttpsRedirect> {
  const limits = { requestTimeout: REQUEST_MAX_MS, headersTimeout: REQUEST_MAX_MS, keepAliveTimeout: 1, connectionsCheckingInterval: SECOND_MS };
  const server = createServer(limits, (request, response) => {
    const host = HOST.exec(request.headers.host ?? '')?.[0];
    const path = request.url ?? '';
    const headers = { connection: 'close', 'content-length': 0 };
    if (host === undefined || !path.startsWith('/')) response.writeHead(400, headers).end();
    else response.writeHead(308, { ...headers, location: `https://${host}${at.httpsPort === 443 ? '' : `:${at.httpsPort}`}${path}` }).end();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(at.port, at.host, resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : at.port,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
