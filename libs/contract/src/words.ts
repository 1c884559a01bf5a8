import { z } from 'zod';

/** Layers in one request or answer: an image has a few dozen; registries in use refuse far fewer than this. */
export const LAYERS_MAX = 1000;
/** Regions in one list: more than any cloud has. */
export const REGIONS_MAX = 200;
/** The longest name that registries in use accept. */
const REPOSITORY_LENGTH_MAX = 255;
/** Characters of a sentence for people: reasons, errors, notes. */
export const SENTENCE_LENGTH_MAX = 2000;

/** `sha256:` and 64 lower-case hexadecimal digits. */
export const DigestText = z
  .templateLiteral(['sha256:', z.string().regex(/^[0-9a-f]{64}$/)], { error: 'must be sha256: followed by 64 lower-case hexadecimal digits' })
  .meta({ description: 'The identity of bytes: sha256 and 64 lower-case hexadecimal digits.', examples: [`sha256:${'0'.repeat(64)}`] });

/** The name of a repository, by the grammar of OCI distribution-spec 1.1. */
export const RepositoryName = z
  .string()
  .max(REPOSITORY_LENGTH_MAX)
  .regex(/^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/, { error: "must be lower-case path components joined by '/', such as team/app" })
  .meta({ description: 'A repository: lower-case path components joined by slashes.', examples: ['team/app'] });

/** A tag, or a digest. */
export const ReferenceText = z
  .string()
  .max(128)
  .regex(/^(?:sha256:[0-9a-f]{64}|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127})$/, { error: 'must be a tag or a sha256 digest' })
  .meta({ description: 'A tag or a digest.', examples: ['v1.4.2'] });

/** The name of a region. */
export const RegionText = z
  .string()
  .max(64)
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, { error: 'must be a region name: lower-case letters, digits and hyphens' })
  .meta({ description: 'A region: lower-case letters, digits and hyphens.', examples: ['westeurope'] });

/** The name of a share. */
export const ShareText = z
  .string()
  .max(64)
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, { error: 'must be a share name: lower-case letters, digits and hyphens' })
  .meta({ description: 'A share: lower-case letters, digits and hyphens.', examples: ['layers-westeurope'] });

/** An instant in UTC. */
export const Instant = z.iso.datetime({ error: 'must be an instant in UTC, such as 2026-03-01T12:00:00.000Z' }).meta({ description: 'An instant in UTC, ISO 8601.' });

/** A number of bytes. */
export const Bytes = z.int().min(0).meta({ description: 'Bytes.' });

/** A number of things. */
export const Count = z.int().min(0).meta({ description: 'A count.' });

/** A part of a whole, from 0 to 100. */
export const Percent = z.number().min(0).max(100).meta({ description: 'From 0 to 100.' });

/** A code from a closed list, which grows: clients take an unknown one as "other". */
export const Code = z.string().max(64).regex(/^[A-Z][A-Z0-9_]*$/, { error: 'must be a code in capitals' }).meta({ description: 'A stable code.', examples: ['REPLICA_COPYING'] });

/** A sentence for people. */
export const Sentence = z.string().max(SENTENCE_LENGTH_MAX).meta({ description: 'For people.' });

/** The id of a lease or a pin. */
export const Id = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, { error: 'must be a UUID in lower case' })
  .meta({ description: 'A UUID in lower case.', examples: ['0b9f6c52-3b0e-4d53-9d5c-0f2a6f6f3f10'] });
