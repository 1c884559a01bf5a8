import { defineConfig } from 'vitest/config';

const report = process.env.TRANSLOCATOR_TEST_REPORT;

export default defineConfig({
  // `#room` imports resolve to the TypeScript sources under the condition `source`, to the build without it.
  ssr: { resolve: { conditions: ['source', 'node'] } },
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    include: ['libs/**/*.spec.ts', 'apps/**/*.spec.ts', 'test/**/*.spec.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    // A machine-readable report, for whoever counts over several suites.
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
});
