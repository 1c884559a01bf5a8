import { CodedError } from '#errors';

/** What can be wrong before the service begins. */
export type ConfigErrorCode = 'SETTINGS_INVALID';

/** One thing that is wrong with the configuration: where, what stands there, and the rule it breaks. */
export interface ConfigProblem {
  /** Dotted path in the YAML file, or the name of an environment variable. */
  readonly field: string;
  /** The value, shortened; absent for secrets and for what is missing. */
  readonly value?: string;
  readonly rule: string;
}

/** The configuration cannot be used. Carries every problem, not only the first. */
export class ConfigError extends CodedError<ConfigErrorCode> {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ field, value, rule }) => `  ${field}${value === undefined ? '' : ` = ${value}`}: ${rule}`);
    super('SETTINGS_INVALID', `the configuration has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}
