import { z } from 'zod';

import { VerityBody } from './mount.js';
import { pageOf, pageParameters } from './page.js';
import { ReplicaStateName } from './replicas.js';
import { Bytes, Code, Count, DigestText, Instant, LAYERS_MAX, Percent, ReferenceText, RegionText, REGIONS_MAX, RepositoryName, Sentence, ShareText } from './words.js';

/** Images of one index in an answer. */
const INDEX_CHILDREN_MAX = 100;
/** Tags of one image that are shown. */
const TAGS_MAX = 1000;

const tags = z.array(z.string().max(128)).max(TAGS_MAX).meta({ description: 'Tags that name it now, in ascending order.' });
const platform = z.string().max(200).meta({ description: 'os/architecture or os/architecture/variant.', examples: ['linux/amd64'] });

/** One image or index in a list. */
export const ImageEntry = z
  .object({
    repository: RepositoryName,
    digest: DigestText,
    kind: z.enum(['image', 'index']),
    tags,
    platform: platform.optional(),
    pushedAt: Instant,
    layerCount: Count.meta({ description: 'Of an image; of an index, 0.' }),
    sizeBytes: Bytes.meta({ description: 'All layers, as they are stored in the registry; of an index, 0.' }),
  })
  .meta({ description: 'An image or an index.' });

/** The replica of one layer on one share. */
export const LayerReplicaBody = z
  .object({
    share: ShareText,
    region: RegionText,
    state: ReplicaStateName,
    copiedBytes: Bytes,
    percent: Percent,
    reason: Sentence.meta({ description: 'Why it is there or goes.' }),
    lastError: Sentence.optional(),
  })
  .meta({ description: 'One replica of a layer.' });

/** How far one layer of an image is. */
export const LayerStatusBody = z
  .object({
    digest: DigestText,
    sizeBytes: Bytes.meta({ description: 'As it is stored in the registry.' }),
    state: z.enum(['unknown', 'wanted', 'expanding', 'expanded', 'refused']),
    percent: Percent.meta({ description: 'Of the expansion, by bytes read.' }),
    vhd: z.object({ digest: DigestText, sizeBytes: Bytes }).optional(),
    verity: VerityBody.optional(),
    refusal: z.object({ code: Code, message: Sentence }).optional().meta({ description: 'Why it will never be expanded.' }),
    lastError: Sentence.optional().meta({ description: 'Why the last try to expand it failed.' }),
    replicas: z.array(LayerReplicaBody).max(REGIONS_MAX),
  })
  .meta({ description: 'How far one layer is.' });

/** How much of an image is ready in one region. */
export const ImageInRegionBody = z
  .object({
    region: RegionText,
    state: z.enum(['ready', 'partial', 'none']).meta({ description: 'ready: every layer that can be expanded can be mounted here.' }),
    readyLayerCount: Count,
    layerCount: Count.meta({ description: 'Layers that can be expanded.' }),
    readyBytes: Bytes,
    totalBytes: Bytes.meta({ description: 'Of the expanded files, as far as they are known.' }),
    percent: Percent.meta({ description: 'By bytes; copies under way count as far as they are.' }),
    reasons: z.array(Code).max(20).meta({ description: 'Why layers are missing, each once: as a pull from here would be told.' }),
  })
  .meta({ description: 'How much of an image can be mounted in one region.' });

/** One image with its layers and regions. */
export const PlatformStatusBody = z
  .object({
    digest: DigestText,
    platform: platform.optional(),
    expandedLayerCount: Count,
    layers: z.array(LayerStatusBody).max(LAYERS_MAX).meta({ description: 'The lowest first.' }),
    view: LayerStatusBody.optional().meta({ description: 'Its merged view, which is kept like one more layer; absent where one layer is all there is. It counts in no number here.' }),
    regions: z.array(ImageInRegionBody).max(REGIONS_MAX),
  })
  .meta({ description: 'The status of one image.' });

/** What a reference stands for and how far it is, everywhere. */
export const ImageStatus = z
  .object({
    repository: RepositoryName,
    digest: DigestText.meta({ description: 'What the reference names: an image or an index.' }),
    kind: z.enum(['image', 'index']),
    tags,
    pushedAt: Instant,
    images: z.array(PlatformStatusBody).max(INDEX_CHILDREN_MAX).meta({ description: 'The image, or the recorded images of the index.' }),
  })
  .meta({ description: 'How far an image is, by layer and by region.' });

/** Which images to list. */
export const ImageQuery = z.strictObject({ ...pageParameters, repository: RepositoryName });
/** Whose status to show. */
export const ImageStatusQuery = z.strictObject({ repository: RepositoryName, reference: ReferenceText });
/** Some images, the newest first. */
export const ImagePage = pageOf(ImageEntry);

/** See {@link ImageEntry}. */
export type ImageEntry = z.infer<typeof ImageEntry>;
/** See {@link LayerReplicaBody}. */
export type LayerReplicaBody = z.infer<typeof LayerReplicaBody>;
/** See {@link LayerStatusBody}. */
export type LayerStatusBody = z.infer<typeof LayerStatusBody>;
/** See {@link ImageInRegionBody}. */
export type ImageInRegionBody = z.infer<typeof ImageInRegionBody>;
/** See {@link PlatformStatusBody}. */
export type PlatformStatusBody = z.infer<typeof PlatformStatusBody>;
/** See {@link ImageStatus}. */
export type ImageStatus = z.infer<typeof ImageStatus>;
/** See {@link ImageStatusQuery}. */
export type ImageStatusQuery = z.infer<typeof ImageStatusQuery>;
/** See {@link ImageQuery}. */
export type ImageQuery = z.infer<typeof ImageQuery>;
