import { defineConfig } from 'vitest/config';

import packageJson from './package.json' with { type: 'json' };

const report = process.env.TRANSLOCATOR_TEST_REPORT;
/** The name under which the newest release of the Azure SDK is installed beside the one that the product uses. */
const NEWEST_SDK = 'azure-storage-file-share-newest';
/** Rooms whose specs leave nothing behind in their process: they neither change it (environment, timers, modules, flags) nor measure its memory, and stop what they start. Their files share one, which loads what they import once. */
const TOGETHER = ['libs/{access,claims,clock,config,contract,demand,errors,mounts,oci,pins,placement,quantities,regions,registry,replication,shares,telemetry}/**/*.spec.ts', 'apps/translocator/src/!(foundation|demo|replay)/**/*.spec.ts'];

export default defineConfig({
  // `#room` imports resolve to the TypeScript sources under the condition `source`, to the build without it.
  ssr: { resolve: { conditions: ['source', 'node'] } },
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    // Bounds against hanging, beyond what `eventually` waits on a machine that is busy with much else: what is slow by itself is measured by benches.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // The same for `expect.poll`, which gives up after a second where nothing is said.
    expect: { poll: { timeout: 90_000 } },
    pool: 'forks',
    maxWorkers: 2,
    // A machine-readable report, for whoever counts over several suites.
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          globalSetup: ['libs/database/src/testing/run-of-tests.ts'],
          include: ['libs/**/*.spec.ts', 'apps/**/*.spec.ts', 'test/**/*.spec.ts'],
          exclude: ['**/node_modules/**', ...TOGETHER],
          provide: { sdkVersion: packageJson.dependencies['@azure/storage-file-share'] },
        },
      },
      {
        extends: true,
        test: { name: 'together', include: TOGETHER, isolate: false, provide: { sdkVersion: packageJson.dependencies['@azure/storage-file-share'] } },
      },
      {
        // What the file share emulator is told through the Azure SDK, once more with the newest one. Those that kill it are left out: they are
        // slow, and prove what it keeps, whoever told it.
        extends: true,
        resolve: { alias: [{ find: /^@azure\/storage-file-share$/, replacement: NEWEST_SDK }] },
        test: {
          name: 'newest-sdk',
          include: ['libs/file-share-emulator/src/{sdk,secure,behaviour/*,access/{policies,tokens},control/disturbances}.spec.ts'],
          provide: { sdkVersion: packageJson.devDependencies[NEWEST_SDK].split('@').at(-1)! },
        },
      },
    ],
  },
});
