import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { eventually } from './eventually.js';
import { end } from './programs.js';
import { sendRaw } from './raw-http.js';
import { TOKENS } from './service-client.js';

/** Debian's package `docker-registry`: the CNCF distribution registry. */
export const REGISTRY_PROGRAM = '/usr/bin/docker-registry';

/** Starts it over `folder`, with deletion, telling `notifyUrl` what happens; `auth` is that section of its configuration. @returns how to stop it. */
export async function startDebianRegistry(options: { readonly folder: string; readonly port: number; readonly notifyUrl: string; readonly auth?: unknown }): Promise<() => Promise<void>> {
  const { folder, port, notifyUrl, auth } = options;
  await mkdir(folder, { recursive: true });
  const headers = { Authorization: [`Bearer ${TOKENS.notification}`] };
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'storage') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
    ...(auth === undefined ? {} : { auth }),
    notifications: { endpoints: [{ name: 'translocator', url: notifyUrl, headers, timeout: '2s', threshold: 3, backoff: '100ms' }] },
  };
  // JSON is YAML too.
  await writeFile(join(folder, 'config.yml'), JSON.stringify(config));
  const program = spawn(REGISTRY_PROGRAM, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  try {
    await eventually('the registry answers', async () => (await sendRaw(`http://127.0.0.1:${port}`, '/v2/')).status === (auth === undefined ? 200 : 401));
  } catch (error) {
    await end(program);
    throw error;
  }
  return async () => void (await end(program));
}
