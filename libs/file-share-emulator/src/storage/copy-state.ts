/** The last copy that a file was the target of, as it is told in `x-ms-copy-…` headers. */
export interface CopyState {
  readonly id: string;
  /** The source's URL, without its signature. */
  readonly source: string;
  readonly status: 'pending' | 'success' | 'aborted' | 'failed';
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** RFC 1123; absent while it is pending. */
  readonly completedAt?: string | undefined;
  readonly description?: string | undefined;
}
