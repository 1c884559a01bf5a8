import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** The version of the Azure SDK that the project of this test runs with. */
    readonly sdkVersion: string;
  }
}

/** The version that `@azure/storage-file-share` stands for in this run: each project of the tests has its own. */
export const SDK_VERSION = inject('sdkVersion');

/** Whether this run is with 12.33.0, for what that version does by itself, whatever it is answered; another version has to be looked at anew. */
export const IS_SDK_12_33_0 = SDK_VERSION === '12.33.0';

/** The CRC64 in the SDK's answer to Put Range From URL, in base64: 12.33.0 has renamed the field. Fails where a version does not name it as it is known to. */
export function copiedCrc64(answer: object): string {
  const { xMsContentCrc64, contentCrc64 } = answer as { readonly xMsContentCrc64?: Uint8Array; readonly contentCrc64?: Uint8Array };
  const [named, other] = IS_SDK_12_33_0 ? [contentCrc64, xMsContentCrc64] : [xMsContentCrc64, contentCrc64];
  if (named === undefined || other !== undefined) throw new Error(`${SDK_VERSION} names the CRC64 of a copy otherwise`);
  return Buffer.from(named).toString('base64');
}
