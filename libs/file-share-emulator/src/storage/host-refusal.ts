import { AzureFilesError } from '../azure-error.js';
import { failedWith } from './atomic-file.js';

/** What a failure of the host's file system means to the client; `absent` says which of the two kinds of absence it is. */
export function refusal(error: unknown, absent: 'ResourceNotFound' | 'ParentNotFound' = 'ResourceNotFound'): Error {
  if (failedWith(error, 'ENOENT', 'ENOTDIR')) return new AzureFilesError(absent, { cause: error });
  if (failedWith(error, 'EEXIST')) return new AzureFilesError('ResourceAlreadyExists', { cause: error });
  if (failedWith(error, 'ENOTEMPTY')) return new AzureFilesError('DirectoryNotEmpty', { cause: error });
  if (failedWith(error, 'EISDIR', 'ELOOP')) return new AzureFilesError('ResourceTypeMismatch', { cause: error });
  if (failedWith(error, 'ENAMETOOLONG')) return new AzureFilesError('InvalidResourceName', { cause: error });
  if (failedWith(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) return new AzureFilesError('ShareSizeLimitReached', { cause: error });
  return error instanceof Error ? error : new AzureFilesError('InternalError', { cause: error });
}
