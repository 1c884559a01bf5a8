export type { AzureFilesShareOptions } from './azure-files-options.js';
export { AzureFilesShare } from './azure-files-share.js';
