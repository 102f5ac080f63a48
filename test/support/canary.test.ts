/** The scan at the end of a run: it sees what is there, in every form and at every place. */
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { canariesIn, formsOf } from '@fieldseal/test-support';

const noise = (length: number): string => randomBytes(length).toString('latin1');

it('sees every form of a canary, wherever it stands', () => {
  const key = randomBytes(32);
  const others = Array.from({ length: 50 }, () => randomBytes(32));
  for (const form of formsOf(key)) {
    for (const text of [form, noise(1_001) + form, `${noise(77)}${form}${noise(5)}`]) {
      expect(canariesIn(text, [...others, key])).toEqual([key]);
    }
  }
});

it('sees several canaries in one text, short ones among them', () => {
  const [short, long] = [Buffer.from('pan-4111'), Buffer.from('canary-0123456789')];
  expect(canariesIn(`x${long.toString('hex')}y${short.toString()}z`, [short, long])).toEqual([short, long]);
});

it('sees nothing where nothing is', () => {
  expect(canariesIn(noise(10_000), [randomBytes(32), Buffer.from('canary-0123456789')])).toEqual([]);
  expect(canariesIn('', [randomBytes(32)])).toEqual([]);
});
