import { z } from 'zod';

import { Count, Instant, RepositoryName } from './words.js';

const flag = (description: string) => z.boolean().meta({ description });

/** What may be changed of a repository, as Azure Container Registry has it. */
export const ChangeableAttributes = z
  .object({
    deleteEnabled: flag('Whether it may be deleted from.'),
    writeEnabled: flag('Whether it may be pushed to.'),
    readEnabled: flag('Whether it may be pulled from.'),
    listEnabled: flag('Whether it is listed.'),
    teleportEnabled: flag('Whether its images are expanded, replicated and mounted. Kept here, and not by the registry.'),
  })
  .meta({ description: 'What may be changed of a repository. Where the registry has no such attributes, all but teleportEnabled are true.' });

/** A change of some attributes of a repository. */
export const AttributesChange = z
  .strictObject(Object.fromEntries(Object.entries(ChangeableAttributes.shape).map(([name, attribute]) => [name, attribute.optional()])) as { [Name in keyof typeof ChangeableAttributes.shape]: z.ZodOptional<z.ZodBoolean> })
  .refine((change) => Object.values(change).some((value) => value !== undefined), { error: 'must name at least one attribute' })
  .meta({ description: 'The attributes to change; others stay as they are.' });

/** A repository's attributes, as Azure Container Registry gives them; what the registry gives besides is kept. */
export const RepositoryAttributes = z
  .looseObject({
    registry: z.string().max(300).meta({ description: 'The registry, as its clients call it.' }),
    imageName: RepositoryName,
    createdTime: z.union([Instant, z.string().max(64)]).optional().meta({ description: 'When it was created; from a registry that does not say, when its oldest recorded image was pushed. Absent when nothing is recorded.' }),
    lastUpdateTime: z.union([Instant, z.string().max(64)]).optional().meta({ description: 'When it changed last; from a registry that does not say, when its newest recorded image was pushed. Absent when nothing is recorded.' }),
    manifestCount: Count.meta({ description: 'Manifests; from a registry that does not say, those recorded here.' }),
    tagCount: Count.meta({ description: 'Tags; from a registry that does not say, those recorded here.' }),
    changeableAttributes: ChangeableAttributes,
  })
  .meta({ description: 'A repository and its attributes.' });

/** See {@link AttributesChange}. */
export type AttributesChange = z.infer<typeof AttributesChange>;
/** See {@link RepositoryAttributes}. */
export type RepositoryAttributes = z.infer<typeof RepositoryAttributes>;
