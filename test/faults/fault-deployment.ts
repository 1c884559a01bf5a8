import { type TemporaryEmulator, TEST_KEY } from '#file-share-emulator/testing';
import { AzureFilesAccount, AzureFilesShare } from '#shares/azure-files';

import { SplitDeployment } from '../e2e/support/split-deployment.js';

/** Where layers are expanded. */
export const HOME = 'westeurope';
/** Where they are copied to, in every run. */
export const FAR = ['eastus', 'southeastasia'] as const;
/** Where the share is being deleted when the service starts. */
export const REBUILT = 'brazilsouth';

/** The far regions are close to each other, so that it is cheaper to pass on what one of them has. */
const CLOSE = FAR.map((from, n) => ({ from, to: FAR[1 - n], roundTripMs: 20, throughput: '250MB', pricePerGb: 0.01 }));

/** How long the share in {@link REBUILT} stays in the way. */
const DELETION_MS = 4_000;
/** After this a partial file that nobody claims is an orphan: the hour of the product, in a run that lasts minutes. */
export const PARTIAL_AGE_MAX = '3s';

/**
 * Starts everything but a worker. The share of {@link REBUILT} was deleted a moment before, and its name is still taken.
 * @param serverUrl of a PostgreSQL that may be given a database.
 */
export function startFaultDeployment(serverUrl: string): Promise<SplitDeployment> {
  return SplitDeployment.start({
    serverUrl, home: HOME, regions: [HOME, ...FAR, REBUILT], links: CLOSE, replication: { fullPause: '2s', partialAgeMax: PARTIAL_AGE_MAX }, prepare: beginDeletion,
  });
}

async function beginDeletion(emulator: TemporaryEmulator): Promise<void> {
  const account = new AzureFilesAccount({ name: REBUILT, endpoint: `${emulator.url}/${REBUILT}`, credential: { kind: 'key', key: TEST_KEY } });
  await new AzureFilesShare({ name: REBUILT, region: REBUILT, capacityBytes: 2 ** 30, shareName: 'layers', account }).ensureExists();
  emulator.control.disturb({ faults: [{ kind: 'slow-deletion', ms: DELETION_MS }] });
  await account.client('layers').delete();
}
