import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ImageToPush, LocalRegistry, type PushedManifest, pushImage, type PushTarget } from '#registry/local';

import { sendRaw } from './raw-http.js';
import type { ServiceClient } from './service-client.js';
import { type Overrides, startService } from './start-service.js';

/** A registry that wants tokens, a service that has a name there, and everything they leave behind. */
export interface GuardedWorld extends AsyncDisposable {
  readonly registry: LocalRegistry;
  readonly client: ServiceClient;
  /** What the service logged, line by line. */
  readonly log: readonly string[];
  /** An Authorization header of `user` for a repository. */
  authorizationOf(user: 'alice' | 'bob', repository: string, actions?: string): Promise<string>;
  push(repository: string, tag: string | undefined, image: ImageToPush): Promise<PushedManifest>;
  /** What {@link push} pushes to. */
  target(repository: string): Promise<PushTarget>;
}

/** `alice` may use every repository, and so may the service; `bob` only team/other. */
const PASSWORDS = { alice: 'wonderland', bob: 'builder', service: 'password-of-the-service' } as const;

/** Starts registry and service; disposing ends both and removes their folder, also when only a part of it came up. */
export async function startGuardedWorld(overrides: Overrides = {}): Promise<GuardedWorld> {
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'translocator-e2e-'));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const users = [
    { username: 'alice', password: PASSWORDS.alice },
    { username: 'bob', password: PASSWORDS.bob, repositories: ['team/other'] },
    { username: 'service', password: PASSWORDS.service },
  ];
  const registry = await LocalRegistry.start({ access: { kind: 'token', users } });
  undo.defer(() => registry.stop());
  const log: string[] = [];
  const { client, translocator } = await startService(
    { folder, registryUrl: registry.url },
    { overrides: { registry: { username: 'service' }, ...overrides }, environment: { TRANSLOCATOR_REGISTRY_PASSWORD: PASSWORDS.service }, onLog: (line) => log.push(line) },
  );
  undo.defer(() => translocator.stop());
  const authorizationOf: GuardedWorld['authorizationOf'] = async (user, repository, actions = 'pull') => {
    const authorization = `Basic ${Buffer.from(`${user}:${PASSWORDS[user]}`).toString('base64')}`;
    const { text } = await sendRaw(registry.url, `/token?scope=repository:${repository}:${actions}`, { headers: { authorization } });
    return `Bearer ${(JSON.parse(text) as { token: string }).token}`;
  };
  const target = async (repository: string): Promise<PushTarget> => ({ url: registry.url, repository, authorization: await authorizationOf('alice', repository, 'pull,push,delete') });
  const all = undo.move();
  return {
    registry, client, log, authorizationOf, target,
    push: async (repository, tag, image) => pushImage(await target(repository), tag, image),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
