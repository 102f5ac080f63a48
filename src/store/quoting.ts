/** Names and texts as they stand in SQL. */

export function quoteName(word: string): string {
  return `"${word.replaceAll('"', '""')}"`;
}

export function quoteText(word: string): string {
  // E'' reads backslashes the same way whatever standard_conforming_strings is set to.
  return `E'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
