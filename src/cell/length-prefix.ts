/** Length-prefixed parts: what makes a concatenation of texts unambiguous. */

const PREFIX_BYTES = 4;

/** Each part as u32 big-endian length and its bytes (UTF-8 for text, which must be well formed), concatenated. */
export function lengthPrefixed(...parts: readonly (string | Uint8Array)[]): Buffer {
  const sizes = parts.map((part) => (typeof part === 'string' ? Buffer.byteLength(part) : part.length));
  const out = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + PREFIX_BYTES + size, 0));
  let at = 0;
  parts.forEach((part, i) => {
    at = out.writeUInt32BE(sizes[i]!, at);
    if (typeof part === 'string') out.write(part, at, 'utf8');
    else out.set(part, at);
    at += sizes[i]!;
  });
  return out;
}
