/** Serves the options given as JSON, prints the addresses of shares and control as JSON, and stops on SIGTERM. */
import { type FileShareEmulatorOptions, startFileShareEmulator } from '#file-share-emulator';

const emulator = await startFileShareEmulator(JSON.parse(process.argv[2] ?? '{}') as FileShareEmulatorOptions);
process.stdout.write(`${JSON.stringify({ url: emulator.url, controlUrl: emulator.controlUrl })}\n`);
process.once('SIGTERM', () => void emulator.close());
