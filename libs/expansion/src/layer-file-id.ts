import { hash } from 'node:crypto';

import { type Digest, digestHex } from '#oci';
import { LAYER_FILE_VERSION } from '#shares';

/** What in a file bears an id of its own: its filesystem, its hash tree, the disk. */
export type LayerFilePart = 'erofs' | 'verity' | 'vhd';

/**
 * The id of a part of a layer's file: 16 bytes that follow from the file's contents and `LAYER_FILE_VERSION`, in the form of a UUID of version 8 (RFC 9562).
 * @param contents the diffID of a layer, the digest of a merged view.
 */
export function layerFileId(part: LayerFilePart, contents: Digest): Buffer {
  const id = hash('sha256', `translocator ${part} ${LAYER_FILE_VERSION} ${digestHex(contents)}`, 'buffer').subarray(0, 16);
  id[6] = (id[6]! & 0x0f) | 0x80;
  id[8] = (id[8]! & 0x3f) | 0x80;
  return id;
}
