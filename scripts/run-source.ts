/**
 * Runs a TypeScript program of this repository with the rooms that it uses from their sources, where nothing was built.
 *
 *   node scripts/run-source.ts <program> [arguments of the program …]
 */
import { resolve } from 'node:path';

import { createServer, createServerModuleRunner } from 'vite';

const [node, , program, ...rest] = process.argv;
if (node === undefined || program === undefined) throw new Error('which program?');
process.argv = [node, resolve(program), ...rest];

// `#room` imports resolve to the TypeScript sources under the condition `source`. The server listens nowhere: it only compiles.
const server = await createServer({
  configFile: false, appType: 'custom', logLevel: 'error', server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  ssr: { resolve: { conditions: ['source', 'node'] } }, optimizeDeps: { noDiscovery: true },
});
const runner = createServerModuleRunner(server.environments.ssr, { hmr: false });
try {
  await runner.import(resolve(program));
} finally {
  await runner.close();
  await server.close();
}
