import { describe, expect, it } from 'vitest';
import { mayName } from '../../src/kms/arn.js';

const ID = '1234abcd-12ab-34cd-56ef-1234567890ab';
const ARN = `arn:aws:kms:eu-central-1:111122223333:key/${ID}`;

describe('a name of a KEK', () => {
  it.each([ARN, ID, 'alias/card-a', 'arn:aws:kms:eu-central-1:111122223333:alias/card-a'])(
    'may stand for a key: %s',
    (name) => {
      expect(mayName(name, ARN)).toBe(true);
    },
  );

  it.each([
    ['the ARN of another key', `${ARN}0`],
    ['another id', ID.replace('1', '2')],
    ['the end of an id', ID.slice(1)],
    ['an alias of another region', 'arn:aws:kms:eu-west-1:111122223333:alias/card-a'],
    ['an alias of another account', 'arn:aws:kms:eu-central-1:444455556666:alias/card-a'],
    ['nothing', ''],
  ])('may not stand for a key: %s', (_what, name) => {
    expect(mayName(name, ARN)).toBe(false);
  });
});
