import type { FileShareEmulatorOptions } from '../emulator-options.js';
import { startFileShareEmulator } from '../start-emulator.js';

/** Serves the options given as JSON, prints the URL, and stops on SIGTERM. */
const emulator = await startFileShareEmulator(JSON.parse(process.argv[2] ?? '{}') as FileShareEmulatorOptions);
process.stdout.write(`${emulator.url}\n`);
process.once('SIGTERM', () => void emulator.close());
