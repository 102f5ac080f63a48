/** The name that PostgreSQL gives to the sequence of a serial column. */

/** NAMEDATALEN - 1, bytes. */
const MAX_NAME = 63;
const SUFFIX = '_seq';

/** Too long together, the longer of both names loses its end, as in makeObjectName of PostgreSQL (indexcmds.c). */
export function sequenceName(table: string, column: string): string {
  const room = MAX_NAME - Buffer.byteLength(`_${SUFFIX}`);
  let [first, second] = [Buffer.byteLength(table), Buffer.byteLength(column)];
  while (first + second > room) {
    if (first > second) first -= 1;
    else second -= 1;
  }
  return `${clipped(table, first)}_${clipped(column, second)}${SUFFIX}`;
}

/** As many whole characters as fit into so many bytes. */
function clipped(name: string, maxBytes: number): string {
  let text = '';
  for (const character of name) {
    if (Buffer.byteLength(text + character) > maxBytes) break;
    text += character;
  }
  return text;
}
