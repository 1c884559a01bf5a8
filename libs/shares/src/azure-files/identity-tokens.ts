import type { AzureFilesCredential } from './azure-files-credential.js';

/**
 * Tokens of the identity that this process has: environment, workload identity, managed identity, or the developer's own sign-in, in the order of
 * `DefaultAzureCredential`. The library is loaded only here: who has keys need not carry it.
 */
export async function identityTokens(): Promise<Extract<AzureFilesCredential, { readonly kind: 'token' }>> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return { kind: 'token', token: new DefaultAzureCredential() };
}
