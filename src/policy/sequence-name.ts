/** The name that PostgreSQL gives to the sequence of a serial column. */

/** NAMEDATALEN - 1, bytes. */
const MAX_NAME = 63;
const SUFFIX = '_seq';

/** Too long together, the longer of both names loses its end, as in makeObjectName of PostgreSQL (indexcmds.c). */
export function sequenceName(table: string, column: string): string {
  const room = MAX_NAME - Buffer.byteLength(`_${SUFFIX}`);
  let [first, second] = [table, column];
  while (Buffer.byteLength(first) + Buffer.byteLength(second) > room) {
    if (Buffer.byteLength(first) > Buffer.byteLength(second)) first = first.slice(0, -1);
    else second = second.slice(0, -1);
  }
  return `${first}_${second}${SUFFIX}`;
}
