import { describe, expect, it } from 'vitest';

import { parseCommandLine, usage } from './command-line.js';

describe('the command line', () => {
  it('runs everything when nothing is said', () => {
    expect(parseCommandLine([])).toEqual({ kind: 'run' });
  });

  it('takes roles one by one or joined by commas', () => {
    expect(parseCommandLine(['--role', 'lookup', '--role', 'control,worker'])).toEqual({ kind: 'run', roles: ['lookup', 'control', 'worker'] });
  });

  it('prints the configuration of the roles it is asked for', () => {
    expect(parseCommandLine(['--print-config', '--role=lookup'])).toEqual({ kind: 'print-config', roles: ['lookup'] });
  });

  it('refuses what it does not know, and says what', () => {
    expect(parseCommandLine(['--rolle', 'x'])).toMatchObject({ kind: 'invalid', message: expect.stringContaining('--rolle') });
    expect(parseCommandLine(['lookup'])).toMatchObject({ kind: 'invalid' });
  });

  it('names every environment variable in its help', () => {
    expect(usage()).toContain('TRANSLOCATOR_ADMIN_TOKEN');
  });
});
