import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { hasProgram } from '#expansion/testing';
import { digestOf } from '#oci';
import { LocalRegistry, type PushedManifest, pushImage } from '#registry/local';

import { buildProgram } from './support/built-program.js';
import { Certificates } from './support/certificates.js';
import { eventually } from './support/eventually.js';
import { run } from './support/programs.js';
import { sendRaw } from './support/raw-http.js';
import { smallImage } from './support/real-layers.js';
import { ServiceProcess } from './support/service-process.js';
import { FAST } from './support/start-service.js';

const USERS = [{ username: 'teleporter', password: 'to-the-moon' }];
/** The steps by which Teleport's clients look whether an image is expanded: token, digest of the tag, then asking until the status is neither 409 nor anything unknown. */
const CHECK_EXPANSION = `
set -euo pipefail
token=$(curl -sS $RESOLVE -u "$USER_NAME:$PASSWORD" "https://$REGISTRY/oauth2/token?service=$REGISTRY&scope=repository:$REPOSITORY:pull" | sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p')
digest=$(curl -sSI $RESOLVE -H 'Accept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json' -H "Authorization: Bearer $token" \\
  "https://$REGISTRY/v2/$REPOSITORY/manifests/$TAG" | tr -d '\\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
for try in $(seq 1 300); do
  status=$(curl -sS $RESOLVE -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "https://$REGISTRY/mount/v1/$REPOSITORY/_manifests/\${BY:-$digest}")
  echo "$status"
  case $status in 200|404) exit 0;; 409) sleep 0.2;; *) echo "Unknown status $status"; exit 1;; esac
done
exit 1`;
/** The steps by which they set the attribute of a repository. */
const EDIT_ATTRIBUTE = `
set -euo pipefail
token=$(curl -sS $RESOLVE -u "$USER_NAME:$PASSWORD" "https://$REGISTRY/oauth2/token?service=$REGISTRY&scope=repository:$REPOSITORY:$ACTIONS" | sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p')
curl -sS $RESOLVE -X PATCH -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "{\\"teleportEnabled\\": $ENABLED}" -w '\\n%{http_code}' "https://$REGISTRY/acr/v1/$REPOSITORY"`;

describe.skipIf(!['curl', 'openssl'].every(hasProgram))('a client of Teleport, on the registry\'s own name and over HTTPS', () => {
  const undo = new AsyncDisposableStack();
  let environment: Record<string, string>;
  let folder: string;
  let pushed: PushedManifest;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    const { main } = undo.use(await buildProgram());
    const registry = await LocalRegistry.start({ access: { kind: 'token', users: USERS } });
    undo.defer(() => registry.stop());
    const basic = { authorization: `Basic ${Buffer.from('teleporter:to-the-moon').toString('base64')}` };
    const { text } = await sendRaw(registry.url, '/token?scope=repository:team/app:pull,push', { headers: basic });
    pushed = await pushImage({ url: registry.url, repository: 'team/app', authorization: `Bearer ${(JSON.parse(text) as { token: string }).token}` }, 'v1', smallImage('base', 'app'));
    await mkdir(join(folder, 'certificates'));
    const certificates = new Certificates(join(folder, 'certificates'));
    const authority = await certificates.make({ subject: '/CN=authority', authority: true });
    const own = await certificates.make({ subject: '/CN=registry', issuer: authority, names: 'DNS:registry.test,IP:127.0.0.1' });
    const file = (name: string): string => join(folder, 'certificates', name);
    await Promise.all([writeFile(file('authority.crt'), authority.certificate), writeFile(file('tls.crt'), own.certificate), writeFile(file('tls.key'), own.key)]);
    // A map that is too old on a busy machine would be answered 200 as well, with blobs.
    const overrides = { lookup: { ...(FAST['lookup'] as object), staleMax: '1m' }, server: { tls: { certificate: file('tls.crt'), key: file('tls.key') } }, gateway: { enabled: true, realm: 'own', hosts: ['registry.test'] }, registry: { username: 'teleporter' } };
    const service = undo.use(await ServiceProcess.start({ main, folder, registryUrl: registry.url, overrides, environment: { TRANSLOCATOR_REGISTRY_PASSWORD: 'to-the-moon' } }));
    const { port } = new URL(service.client.url);
    environment = { REGISTRY: `registry.test:${port}`, RESOLVE: `--resolve registry.test:${port}:127.0.0.1`, CURL_CA_BUNDLE: file('authority.crt'), USER_NAME: 'teleporter', PASSWORD: 'to-the-moon', REPOSITORY: 'team/app', TAG: 'v1' };
    await eventually('the map is loaded', async () => (await bash('curl -sS $RESOLVE -o /dev/null -w \'%{http_code}\' "https://$REGISTRY/readyz"')) === '200');
  }, 300_000);
  afterAll(() => undo.disposeAsync());

  const bash = (script: string, more: Readonly<Record<string, string>> = {}): Promise<string> => run('bash', ['-c', script], { ...environment, ...more });

  it('finds that a repository is not enabled', async () => {
    expect(await bash(CHECK_EXPANSION)).toBe('404');
  });

  it('is sent for a token to the name that it asked', async () => {
    const heads = await bash('for path in v2/ "mount/v1/$REPOSITORY/_manifests/v1"; do curl -sS $RESOLVE -o /dev/null -D - "https://$REGISTRY/$path"; done');
    expect([...heads.matchAll(/realm="([^"]*)"/g)].map(([, realm]) => realm)).toEqual([0, 1].map(() => `https://${environment['REGISTRY']}/oauth2/token`));
  });

  it('may not enable it with a token for pulling', async () => {
    expect(await bash(EDIT_ATTRIBUTE, { ACTIONS: 'pull', ENABLED: 'true' })).toMatch(/\n401$/);
    expect(await bash(CHECK_EXPANSION)).toBe('404');
  });

  it('enables it, and waits until its image is expanded', async () => {
    const [body = '', status] = (await bash(EDIT_ATTRIBUTE, { ACTIONS: 'pull,push', ENABLED: 'true' })).split('\n');
    expect([status, JSON.parse(body)]).toEqual(['200', expect.objectContaining({ registry: environment['REGISTRY'], imageName: 'team/app', changeableAttributes: expect.objectContaining({ teleportEnabled: true }) })]);
    // The image is examined within moments; until then it is not known here.
    let statuses: string[] = [];
    for (let tries = 0; tries < 100 && statuses.at(-1) !== '200'; tries += 1) statuses = (await bash(CHECK_EXPANSION)).split('\n');
    expect(statuses.at(-1)).toBe('200');
    expect(statuses.slice(0, -1).filter((status) => status !== '409')).toEqual([]);
  });

  it('asks by tag as well, as the first version did', async () => {
    expect(await bash(CHECK_EXPANSION, { BY: 'v1' })).toBe('200');
  });

  it.skipIf(!hasProgram('skopeo'))('is any client of a registry as well: the image comes through, whole', async () => {
    // A folder of its own with nothing but the authority: what is not signed by it is refused.
    await mkdir(join(folder, 'trusted'));
    await copyFile(join(folder, 'certificates', 'authority.crt'), join(folder, 'trusted', 'authority.crt'));
    const source = `docker://127.0.0.1:${environment['REGISTRY']!.split(':')[1]}/team/app:v1`;
    const copy = (...options: string[]): Promise<string> => run('skopeo', ['copy', '--insecure-policy', '--src-creds', 'teleporter:to-the-moon', ...options, source, `dir:${join(folder, 'copied')}`]);
    await expect(copy()).rejects.toThrow(/certificate signed by unknown authority/);
    await copy('--src-cert-dir', join(folder, 'trusted'));
    expect(digestOf(await readFile(join(folder, 'copied', 'manifest.json')))).toBe(pushed.digest);
  });

  it('disables it again', async () => {
    expect(await bash(EDIT_ATTRIBUTE, { ACTIONS: 'pull,push', ENABLED: 'false' })).toMatch(/"teleportEnabled":false.*\n200$/);
    let status = '200';
    for (let tries = 0; tries < 100 && status !== '404'; tries += 1) status = await bash(CHECK_EXPANSION);
    expect(status).toBe('404');
  });
});
