/** Text in the syntax of Terraform, laid out as `terraform fmt` does. */

/** JSON is an expression of Terraform but for its templates. */
export function quoted(text: string): string {
  return escapeTemplates(JSON.stringify(text));
}

/** https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences */
export function escapeTemplates(json: string): string {
  return json.replaceAll(/[$%]\{/gu, (start) => start.slice(0, 1) + start);
}

/** One a line, their signs one below the other. */
export function attributes(
  indent: number,
  pairs: readonly (readonly [name: string, value: string])[],
): readonly string[] {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${' '.repeat(indent)}${name.padEnd(width)} = ${value}`);
}
