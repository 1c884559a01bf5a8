import { type ArgumentMetadata, type PipeTransform } from '@nestjs/common';

import { type Problem, problemFromIssues } from '#contract';

/** An input that does not follow its schema, as the problem that is answered. */
export class SchemaProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** Checks every body, query and parameter that has a schema, and hands its output on. Unlike Nest's own pipe it keeps the input, so that the answer can show what was wrong. */
export class SchemaPipe implements PipeTransform {
  async transform(value: unknown, { schema, data }: ArgumentMetadata): Promise<unknown> {
    if (schema === undefined) return value;
    const result = await schema['~standard'].validate(value);
    if (result.issues === undefined) return result.value;
    if (data === undefined) throw new SchemaProblem(problemFromIssues({ issues: result.issues }, value));
    // A single parameter knows nothing of its own name.
    const issues = result.issues.map((issue) => ({ ...issue, path: [data, ...(issue.path ?? [])] }));
    throw new SchemaProblem(problemFromIssues({ issues }, { [data]: value }));
  }
}
