import { OciError } from './oci-error.js';

/** An operating system and a processor, in Go's names, as OCI image-spec 1.1 (image-index.md, "platform") has them. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** `v8` of `linux/arm64/v8`; absent where the processor has no variants or the image does not say. */
  readonly variant?: string;
}

/** The platforms whose images are wanted; order carries no meaning. */
export type PlatformPolicy = readonly Platform[];

/** What is expanded unless an operator says otherwise. */
export const DEFAULT_PLATFORMS: PlatformPolicy = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
];

const PART = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * Reads `os/architecture` or `os/architecture/variant`.
 * @throws {OciError} `PLATFORM_INVALID` for anything else.
 */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/');
  const parts = [os, architecture, variant].filter((part) => part !== undefined);
  if (os === undefined || architecture === undefined || rest.length > 0 || !parts.every((part) => PART.test(part))) {
    throw new OciError('PLATFORM_INVALID', `platform ${JSON.stringify(text.slice(0, 100))} is not os/architecture or os/architecture/variant`);
  }
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

/** The text that {@link parsePlatform} reads. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined).join('/');
}

/** The variants that an image means when it names none, and their processors' only spelling. */
const DEFAULT_VARIANTS: Readonly<Record<string, string>> = { arm64: 'v8', arm: 'v7', amd64: 'v1' };

/** True when both name the same platform: an absent variant is the processor's usual one, so `linux/arm64` is `linux/arm64/v8`. */
export function isSamePlatform(one: Platform, other: Platform): boolean {
  return one.os === other.os && one.architecture === other.architecture && usualVariant(one) === usualVariant(other);
}

function usualVariant(platform: Platform): string {
  return platform.variant ?? DEFAULT_VARIANTS[platform.architecture] ?? '';
}

/** True when the policy wants images of `platform`. */
export function wantsPlatform(policy: PlatformPolicy, platform: Platform): boolean {
  return policy.some((wanted) => isSamePlatform(wanted, platform));
}
