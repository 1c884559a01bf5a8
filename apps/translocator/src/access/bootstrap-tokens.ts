import type { BootstrapToken } from '#access';

import type { Settings } from '../foundation/settings.js';

/** The tokens of the environment: they are there before anybody has made one, and while the database is away. The admin's opens the routes of registries too, but for notifications. */
export function bootstrapTokens({ secrets }: Pick<Settings, 'secrets'>): BootstrapToken[] {
  const { adminToken, serviceToken, notificationToken } = secrets;
  return [
    ...(serviceToken === undefined ? [] : [{ actor: 'service', secretText: serviceToken, scopes: ['lookup', 'rewrite', 'leases'] } as const]),
    ...(adminToken === undefined ? [] : [{ actor: 'admin', secretText: adminToken, scopes: ['lookup', 'rewrite', 'leases', 'admin:read', 'admin:write'] } as const]),
    ...(notificationToken === undefined ? [] : [{ actor: 'notification', secretText: notificationToken, scopes: ['notify'] } as const]),
  ];
}
