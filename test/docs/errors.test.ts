/** docs/errors.md against the table of codes. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as errors from '../../src/errors.js';
import { ERROR_CODES, type Area, type ErrorCode } from '../../src/errors.js';

const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');

/** The text under each `## ERR_…`, in one line. */
const entries = new Map(
  text
    .split(/^## /mu)
    .slice(1)
    .map((section) => {
      const [code = '', ...lines] = section.split('\n');
      return [code, lines.join(' ').replaceAll(/\s+/gu, ' ').trim()];
    }),
);

const CLASSES: Readonly<Record<Area, keyof typeof errors>> = {
  config: 'ConfigError',
  format: 'FormatError',
  seal: 'SealError',
  open: 'OpenError',
  key: 'KeyError',
  kms: 'KmsError',
  store: 'StoreError',
  query: 'QueryError',
};

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe('docs/errors.md', () => {
  it('has one heading per code, in the order of the table, and no other', () => {
    expect([...text.matchAll(/^## (.*)$/gmu)].map(([, heading]) => heading)).toEqual(codes);
  });

  it.each(codes)('says of %s its class, what to do, and truly whether a retry helps', (code) => {
    const { area, retryable } = ERROR_CODES[code];
    const entry = entries.get(code) ?? '';
    expect(entry).toMatch(new RegExp(`^\`${CLASSES[area]}\`(, alarm)?\\. \\S`, 'u'));
    expect(entry).toMatch(/ \*\*Do:\*\* \S/u);
    expect(entry).toMatch(retryable ? / \*\*Retry:\*\* yes\.$/u : / \*\*Retry:\*\* no\.$/u);
  });

  it('names every class that the package exports', () => {
    const table = text.slice(0, text.indexOf('\n## '));
    for (const name of Object.values(CLASSES)) {
      expect(errors[name]).toBeTypeOf('function');
      expect(table).toContain(`\`${name}\``);
    }
  });
});
