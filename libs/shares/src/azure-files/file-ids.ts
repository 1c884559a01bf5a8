/** Ids remembered at a time: more files than any process has half made. The oldest goes first, and is asked for when it is needed. */
const REMEMBERED_MAX = 1_000;

/**
 * The provider's ids of files that this process made, by path: a file keeps its id when it is moved, so who moves it can tell it at its new name without
 * asking first. An id that is out of date, because others were at the path too, tells only that a file is not the one that was made.
 */
export class FileIds {
  readonly #ids = new Map<string, string>();

  /** The id of the file that was made at `path`; undefined where that is not known. */
  of(path: string): string | undefined {
    return this.#ids.get(path);
  }

  /** A file was made. */
  made(path: string, id: string | undefined): void {
    this.#ids.delete(path);
    if (id === undefined) return;
    this.#ids.set(path, id);
    if (this.#ids.size > REMEMBERED_MAX) this.#ids.delete(this.#ids.keys().next().value!);
  }

  /** A file was moved; where it went it is not remembered: nothing is moved twice. */
  moved(from: string, to: string): void {
    this.#ids.delete(from);
    this.#ids.delete(to);
  }

  /** A file was removed, or may have been. */
  gone(path: string): void {
    this.#ids.delete(path);
  }
}
