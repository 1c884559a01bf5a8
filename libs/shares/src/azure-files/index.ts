export { AzureFilesAccount, type AzureFilesAccountOptions } from './azure-files-account.js';
export type { AzureFilesCredential } from './azure-files-credential.js';
export type { AzureFilesShareOptions } from './azure-files-options.js';
export { AzureFilesShare } from './azure-files-share.js';
export { identityTokens } from './identity-tokens.js';
