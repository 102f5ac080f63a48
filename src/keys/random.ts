/** Random numbers of the platform, drawn from a buffer: one system call serves hundreds of rows. */
import { randomFillSync } from 'node:crypto';
import type { RandomBelow } from './ports.js';

const BUFFER_BYTES = 4_096;
const NUMBER_BYTES = 4;
const RANGE = 2 ** 32;

/** Uniform whole numbers from the platform's generator, for bounds of at most 2^32. Not for secrets: the buffer is not wiped. */
export function bufferedRandomBelow(): RandomBelow {
  const buffer = Buffer.alloc(BUFFER_BYTES);
  let used = BUFFER_BYTES;
  const next = (): number => {
    if (used === BUFFER_BYTES) {
      randomFillSync(buffer);
      used = 0;
    }
    used += NUMBER_BYTES;
    return buffer.readUInt32LE(used - NUMBER_BYTES);
  };
  return (below) => {
    if (!Number.isInteger(below) || below < 1 || below > RANGE) {
      throw new RangeError(`Expected a bound from 1 to 2^32, got ${below}.`);
    }
    // Numbers above the last multiple of `below` would make small results likelier: they are drawn again.
    const limit = RANGE - (RANGE % below);
    let number = next();
    while (number >= limit) number = next();
    return number % below;
  };
}
