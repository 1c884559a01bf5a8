/** What a caller of `/v1` or of the admin API may be allowed. */
export const ACCESS_SCOPES = ['lookup', 'rewrite', 'leases', 'notify', 'admin:read', 'admin:write'] as const;

/** One thing that a token is for: `lookup` and `rewrite` answer for a registry, `leases` renews and ends them, `notify` tells of pushes, `admin:*` is the admin API. */
export type AccessScope = (typeof ACCESS_SCOPES)[number];

/** True when one of `held` allows `asked`: the same scope, or `admin:write` for `admin:read`, for who may change may look. Nothing else includes anything. */
export function allows(held: readonly AccessScope[], asked: AccessScope): boolean {
  return held.includes(asked) || (asked === 'admin:read' && held.includes('admin:write'));
}
