import { z } from 'zod';

import { Bytes, Code, Count, DigestText, Id, Instant, LAYERS_MAX, RegionText, RepositoryName, Sentence } from './words.js';

/** Mounts of one layer in one answer. */
const MOUNTS_MAX = 32;
/** Characters of a mount's source or a blob's URL: a signed URL has some hundred. */
const SOURCE_LENGTH_MAX = 4096;
/** Options of one mount. */
const OPTIONS_MAX = 32;

/** How a layer's file can be reached. */
export const TransportName = z.enum(['smb', 'nfs', 'https', 'file']).meta({ description: 'How the file is reached.' });

/** Why a layer is answered as a blob. */
export const PullReasonCode = z
  .enum([
    'REGION_UNKNOWN', 'REPOSITORY_UNKNOWN', 'REPOSITORY_DISABLED', 'IMAGE_UNKNOWN', 'LAYER_NOT_IN_IMAGE', 'LAYER_UNKNOWN', 'LAYER_WANTED', 'LAYER_EXPANDING',
    'LAYER_REFUSED', 'DIFF_ID_MISMATCH', 'REPLICA_NONE', 'REPLICA_WANTED', 'REPLICA_COPYING', 'REPLICA_DRAINING', 'TRANSPORT_UNAVAILABLE', 'SHARE_UNAVAILABLE',
    'MAP_STALE', 'ALREADY_HELD', 'AUTHORIZATION_UNAVAILABLE', 'SERVICE_BUSY',
  ])
  .meta({ description: 'Why this layer is a blob. The list grows; an unknown reason means: use the blob.' });

/** One way to reach the file of an expanded layer. */
export const LayerMountBody = z
  .object({
    type: TransportName,
    region: RegionText,
    source: z.string().min(1).max(SOURCE_LENGTH_MAX).meta({ description: 'What to mount: a UNC path, an export, a URL or a local path. It may carry a read-only grant.' }),
    options: z.array(z.string().max(200)).max(OPTIONS_MAX).meta({ description: 'Options of the mount, as mount(8) takes them.' }),
    expiresAt: Instant.optional().meta({ description: 'Until when the grant in the source holds.' }),
  })
  .meta({ description: 'One way to reach the file of an expanded layer.' });

/** Where the hash tree of a file stands. */
export const VerityBody = z
  .object({
    rootHash: z.string().regex(/^[0-9a-f]{64}$/).meta({ description: 'The root of the tree: what a kernel verifies every block against.' }),
    hashOffset: Bytes.meta({ description: "Where the tree's superblock stands in the file, which is where the filesystem ends: veritysetup's --hash-offset." }),
  })
  .meta({ description: 'The dm-verity hash tree in the file (format 1, sha256, 4096-byte blocks, no salt). Absent for files that were made before there were trees.' });

const VhdBody = z.object({ digest: DigestText, sizeBytes: Bytes }).meta({ description: 'The file: the filesystem, its hash tree and a 512-byte fixed VHD footer.' });

const expandedFile = {
  filesystem: z.literal('erofs'),
  vhd: VhdBody,
  verity: VerityBody.optional(),
  mounts: z.array(LayerMountBody).min(1).max(MOUNTS_MAX).meta({ description: 'The best first.' }),
};

/** The merged view of an image. */
export const MergedViewBody = z
  .object({
    digest: DigestText.meta({ description: 'Of the view; no layer has it.' }),
    ...expandedFile,
    devices: z
      .array(z.object({ digest: DigestText.meta({ description: 'Of the layer.' }), vhd: VhdBody }))
      .min(2)
      .max(LAYERS_MAX)
      .meta({ description: 'The layers whose files are its devices, in the order in which mount(8) is to be given them. A file that the caller held before serves only when it has the digest of `vhd`.' }),
  })
  .meta({
    description:
      'All layers of the image as one filesystem. Instead of an overlay of mounted layers: `mount -t erofs -o ro,device=LAYER1,device=LAYER2,… VIEW DIR`, with the file of each of ' +
      '`devices`, in that order: as `layers` says how to reach it, or as the caller held it before. Files are given as they are from Linux 6.12, and through loop devices from 5.16.',
  });

/** A layer that can be mounted. */
export const MountedLayerBody = z
  .object({
    digest: DigestText,
    diffId: DigestText.meta({ description: 'The digest of the uncompressed tar, verified.' }),
    kind: z.literal('mount'),
    ...expandedFile,
  })
  .meta({ description: 'A layer that can be mounted.' });

/** A layer that has to be pulled. */
export const BlobLayerBody = z
  .object({
    digest: DigestText,
    kind: z.literal('blob'),
    url: z.string().max(SOURCE_LENGTH_MAX).meta({ description: 'Relative to the registry.' }),
    reason: PullReasonCode,
    expectedAt: Instant.optional().meta({ description: 'An estimate of when it may be mountable.' }),
  })
  .meta({ description: 'A layer that has to be pulled, and why.' });

/** The answer to a pull. */
export const MountAnswerBody = z
  .object({
    schemaVersion: z.literal(1),
    repository: RepositoryName,
    digest: DigestText.meta({ description: 'The image manifest whose layers these are; of an index, the one for the platform.' }),
    region: RegionText.nullable().meta({ description: "The caller's region; null when it is unknown." }),
    asOf: Instant.nullable().meta({ description: 'How old the knowledge behind this answer is; null when there was none.' }),
    lease: z.object({ id: Id, expiresAt: Instant }).optional().meta({ description: 'Keeps the replicas that this answer names from being removed.' }),
    image: MergedViewBody.optional().meta({ description: 'Present when the merged view is near, and every layer is expanded and either a mount here or held by the caller before.' }),
    layers: z.array(z.discriminatedUnion('kind', [MountedLayerBody, BlobLayerBody])).max(LAYERS_MAX).meta({ description: 'Every layer of the image, lowest first.' }),
  })
  .meta({ description: 'Every layer of one image, each to be mounted or to be pulled.' });

const caller = {
  // Any text: a region that nobody knows makes blobs, never an error.
  region: z.string().max(64).optional().meta({ description: 'Where the pull comes from. Without one that is known, every layer is a blob.' }),
  address: z.union([z.ipv4(), z.ipv6()]).optional().meta({ description: 'The IP address of the node: shares in whose network it is come first, and by ways that only that network has.' }),
  transports: z.array(TransportName).max(TransportName.options.length).optional().meta({ description: 'What the caller can mount by. Without it: anything.' }),
};

/** What a registry asks that has authorised a pull. */
export const LookupBody = z
  .strictObject({
    repository: RepositoryName,
    manifest: DigestText,
    layers: z.array(DigestText).max(LAYERS_MAX),
    ...caller,
    have: z.array(DigestText).max(LAYERS_MAX).optional().meta({ description: 'Layers whose expanded file the caller holds: they are answered as blobs with ALREADY_HELD. `devices` of the answer says which file a merged view needs; the caller compares.' }),
    client: z.string().max(200).optional().meta({ description: 'Names the node, so that its repeated pulls count once.' }),
  })
  .meta({ description: 'A pull that the registry has authorised.' });

/** A mount response to be rewritten for another region. */
export const RewriteBody = z
  .strictObject({ response: MountAnswerBody, ...caller })
  .meta({ description: 'A mount response, and the caller for whom its sources are to be replaced.' });

/** What a renewed lease answers. */
export const LeaseBody = z.object({ id: Id, expiresAt: Instant }).meta({ description: 'A lease and until when it holds.' });

/** Leases in one renewal: what a node has mounted at a time, many times over. */
const RENEWALS_MAX = 1000;

/** Leases to be renewed together. */
export const RenewalBody = z
  .strictObject({ ids: z.array(Id).min(1).max(RENEWALS_MAX) })
  .meta({ description: 'The leases that a node goes on to hold.' });

/** What became of each lease of a renewal. */
export const RenewedBody = z
  .object({
    leases: z.array(z.object({ id: Id, expiresAt: Instant.nullable().meta({ description: 'Until when it holds; null when it is unknown, has run out, or is not renewed any more: it cannot return, ask for the mounts anew.' }) })).max(RENEWALS_MAX),
  })
  .meta({ description: 'The leases of a renewal, in its order.' });

/** A share that a node could not use. */
export const ShareReportBody = z
  .strictObject({
    region: RegionText.meta({ description: 'As the mount of the answer names it.' }),
    type: TransportName,
    problem: Sentence.min(1).meta({ description: 'What went wrong, for the log.' }),
  })
  .meta({ description: 'A mount that failed.' });

/** How far an image's expansion is. */
export const ExpansionProgressBody = z
  .object({ digest: DigestText, layerCount: Count, wantedCount: Count, expandingCount: Count, refusedCount: Count, sizeBytes: Bytes, doneBytes: Bytes, since: Instant })
  .meta({ description: 'Layers and compressed bytes of an image of which nothing is expanded yet.' });

/** Errors as registries give them (OCI distribution-spec 1.1, "Error codes"): on `/mount/v1` and `/v2`. */
export const RegistryErrorsBody = z
  .object({ errors: z.array(z.object({ code: Code, message: Sentence, detail: z.unknown().optional() })).min(1).max(20) })
  .meta({ description: 'What went wrong, in the form of the OCI distribution specification.' });

/** See {@link MountAnswerBody}. */
export type MountAnswerBody = z.infer<typeof MountAnswerBody>;
/** See {@link LookupBody}. */
export type LookupBody = z.infer<typeof LookupBody>;
/** See {@link RewriteBody}. */
export type RewriteBody = z.infer<typeof RewriteBody>;
/** See {@link LeaseBody}. */
export type LeaseBody = z.infer<typeof LeaseBody>;
/** See {@link RenewalBody}. */
export type RenewalBody = z.infer<typeof RenewalBody>;
/** See {@link RenewedBody}. */
export type RenewedBody = z.infer<typeof RenewedBody>;
/** See {@link ShareReportBody}. */
export type ShareReportBody = z.infer<typeof ShareReportBody>;
/** See {@link ExpansionProgressBody}. */
export type ExpansionProgressBody = z.infer<typeof ExpansionProgressBody>;
/** See {@link RegistryErrorsBody}. */
export type RegistryErrorsBody = z.infer<typeof RegistryErrorsBody>;
