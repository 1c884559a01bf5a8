import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

import { type AccessScope, allows, type Caller } from '#access';
import type { Clock } from '#clock';

import type { CertificateCallers } from '../service-gate.js';
import { namesOf } from './certificate-names.js';

/** Somebody whom a client certificate may stand for. */
export interface CertificateClient {
  /** As {@link namesOf} writes names. */
  readonly name: string;
  readonly scopes: readonly AccessScope[];
}

interface Known {
  readonly caller: Caller;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Finds who a connection's verified client certificate stands for: the first configured client whose name it has. Found out once for each connection; the certificate's time counts at every request. */
export function certificateCallers(clients: readonly CertificateClient[], clock: Clock): CertificateCallers {
  const known = new WeakMap<Socket, Known | 'nobody'>();
  return (socket) => {
    let found = known.get(socket);
    if (found === undefined) {
      found = callerOn(socket, clients) ?? 'nobody';
      known.set(socket, found);
    }
    if (found === 'nobody') return undefined;
    const { caller, fromMs, untilMs } = found;
    const nowMs = clock.now().getTime();
    return nowMs < fromMs || nowMs > untilMs ? undefined : { caller, allows: (scope) => allows(caller.scopes, scope) };
  };
}

function callerOn(socket: Socket, clients: readonly CertificateClient[]): Known | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const names = namesOf(certificate);
  const client = clients.find(({ name }) => names.includes(name));
  if (client === undefined) return undefined;
  const caller: Caller = { actor: `certificate:${client.name}`, name: client.name, scopes: client.scopes };
  return { caller, fromMs: certificate.validFromDate.getTime(), untilMs: certificate.validToDate.getTime() };
}
