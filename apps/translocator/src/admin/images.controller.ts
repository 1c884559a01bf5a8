import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';

import { type ImageEntry, ImagePage, ImageQuery, ImageStatus, ImageStatusQuery } from '#contract';
import { type Digest, formatPlatform, isDigest, parseReference } from '#oci';
import { ImageStore, type TaggedImage } from '#registry';

import { AdminApi, markOf, notFound, pageFrom } from './admin-api.js';
import { ImageStatusReader } from './image-status.js';

const ImageMark = z.object({ pushedAt: z.iso.datetime(), digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)) });

/** Which images there are, and how far each is, everywhere. */
@AdminApi('images', 'images')
export class ImagesController {
  constructor(
    private readonly images: ImageStore,
    private readonly status: ImageStatusReader,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Images and indexes of a repository, the newest first' })
  @ApiOkResponse({ standardSchema: ImagePage })
  async list(@Query({ schema: ImageQuery }) { cursor, limit, repository }: ImageQuery): Promise<z.infer<typeof ImagePage>> {
    const mark = markOf(cursor, ImageMark);
    const rows = await this.images.list(repository, { limit: limit + 1, ...(mark === undefined ? {} : { after: { pushedAt: new Date(mark.pushedAt), digest: mark.digest } }) });
    return pageFrom(rows, limit, { entry: toEntry, mark: (row) => ({ pushedAt: row.pushedAt.toISOString(), digest: row.digest }) });
  }

  @Get('status')
  @ApiOperation({ summary: 'How far an image is, by layer and by region' })
  @ApiOkResponse({ standardSchema: ImageStatus })
  async get(@Query({ schema: ImageStatusQuery }) { repository, reference }: ImageStatusQuery): Promise<ImageStatus> {
    const resolved = await this.images.resolve(repository, parseReference(reference));
    if (resolved === undefined) throw notFound(`${repository}, ${reference}`);
    const { image, images } = resolved;
    return {
      repository,
      digest: image.digest,
      kind: image.kind,
      tags: [...image.tags],
      pushedAt: image.pushedAt.toISOString(),
      images: await this.status.statusOf(images),
    };
  }
}

function toEntry({ repository, digest, kind, tags, platform, pushedAt, layers }: TaggedImage): ImageEntry {
  return {
    repository, digest, kind,
    tags: [...tags],
    ...(platform === undefined ? {} : { platform: formatPlatform(platform) }),
    pushedAt: pushedAt.toISOString(),
    layerCount: layers.length,
    sizeBytes: layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
  };
}
