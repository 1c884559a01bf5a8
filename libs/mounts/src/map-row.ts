import type { Digest, Platform } from '#oci';

/** The kinds of rows a replica map is made of; the same words as in the change feed. */
export const MAP_TOPICS = ['repository', 'tag', 'layer', 'image', 'replica'] as const;

/** One of {@link MAP_TOPICS}. */
export type MapTopic = (typeof MAP_TOPICS)[number];

/** The values of a row's key columns, in the order that {@link keyOf} gives them. */
export type MapKey = readonly string[];

/** A repository and whether its images are mounted at all. */
export interface RepositoryRow {
  readonly topic: 'repository';
  readonly name: string;
  readonly enabled: boolean;
}

/** Which manifest a tag names. */
export interface TagRow {
  readonly topic: 'tag';
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest;
}

/** One layer as an image's manifest and config name it. */
export interface ImageLayerRow {
  readonly digest: Digest;
  readonly diffId: Digest;
  /** Of the blob as it is stored. */
  readonly sizeBytes: number;
}

/** One image of an index. */
export interface IndexChildRow {
  readonly digest: Digest;
  readonly platform: Platform;
}

/** What a manifest's digest stands for: an image's layers, lowest first, and the digest of its merged view if it has one; or an index of images. */
export type ManifestContent =
  | { readonly kind: 'image'; readonly layers: readonly ImageLayerRow[]; readonly view?: Digest | undefined }
  | { readonly kind: 'index'; readonly children: readonly IndexChildRow[] };

/** A manifest of a repository. */
export interface ImageRow {
  readonly topic: 'image';
  readonly repository: string;
  readonly digest: Digest;
  readonly content: ManifestContent;
}

/** The file of an expanded layer. */
export interface ExpandedFile {
  /** Undefined for the merged view of an image: it is no layer, and an image that names its digest as one is wrong. */
  readonly diffId: Digest | undefined;
  /** Which version of the format it has: a part of its path. */
  readonly writerVersion: number;
  readonly vhd: { readonly digest: Digest; readonly sizeBytes: number };
  /** Where its hash tree stands; undefined for a file without one. */
  readonly verity?: HashTreePlace | undefined;
}

/** Where the hash tree of a file begins, in bytes, and its root: 64 hexadecimal digits. */
export interface HashTreePlace {
  readonly rootHash: string;
  readonly hashOffset: number;
}

/** How far the expansion of a layer is. */
export type LayerState =
  /** `since`: when its expansion was asked for, however often it has been tried since then. */
  | { readonly state: 'wanted'; readonly since: Date }
  /** `doneBytes` of the stored blob have been read, as far as is known. */
  | { readonly state: 'expanding'; readonly since: Date; readonly doneBytes?: number | undefined }
  | ({ readonly state: 'expanded' } & ExpandedFile)
  /** It will not be expanded; `refusal` says why, for operators. */
  | { readonly state: 'refused'; readonly refusal: string };

/** The expansion of one layer. */
export type LayerRow = { readonly topic: 'layer'; readonly digest: Digest } & LayerState;

/** The states of a replica in the order of their codes in the map. */
export const REPLICA_STATES = ['wanted', 'copying', 'ready', 'draining'] as const;

/** Where a replica is in its life; one that is gone has no row. */
export type MappedReplicaState = (typeof REPLICA_STATES)[number];

/** One expanded layer on one share. Its size is that of the layer's vhd. */
export interface ReplicaRow {
  readonly topic: 'replica';
  readonly layer: Digest;
  readonly share: string;
  readonly state: MappedReplicaState;
}

/** All replicas of one layer in one row: how full loads and snapshots tell them. */
export interface LayerReplicasRow {
  readonly topic: 'replicas';
  readonly layer: Digest;
  readonly replicas: readonly Pick<ReplicaRow, 'share' | 'state'>[];
}

/** What a full load tells: rows of any topic, those of replicas alone or by layer. */
export type LoadedRow = MapRow | LayerReplicasRow;

/** One row of any topic. */
export type MapRow = RepositoryRow | TagRow | ImageRow | LayerRow | ReplicaRow;

/** The key of a row: the same values in the same order as in the change feed. */
export function keyOf(row: MapRow): MapKey {
  switch (row.topic) {
    case 'repository':
      return [row.name];
    case 'tag':
      return [row.repository, row.tag];
    case 'image':
      return [row.repository, row.digest];
    case 'layer':
      return [row.digest];
    case 'replica':
      return [row.layer, row.share];
  }
}
