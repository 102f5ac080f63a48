import { chmodSync, renameSync, rmSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { localKeks } from '../../../src/kms/local/local-keks.js';
import { recordKey } from '../../canary.js';
import { after, CARD, failure, SCOPE } from '../kms.js';
import { expectNoKey, fileWith, keyFile, started } from './key-files.js';

const UNKNOWN = 'local:00000000-0000-8000-8000-000000000000';

describe('localKeks options', () => {
  it.each([
    [
      'an unknown option',
      { keks: {}, kek: {} },
      /localKeks\.kek: there is no such option; did you mean 'keks'/,
    ],
    ['no keks', {}, /localKeks\.keks: expected an object, got nothing/],
    ['no file for a purpose', { keks: { 'card-number': [] } }, /localKeks\.keks\.card-number/],
    [
      'a relative path',
      { keks: { 'card-number': ['a.kek'] } },
      /keks\.card-number\[0\]: expected the absolute path/,
    ],
    ['a path with a zero byte', { keks: { 'card-number': ['/a\0.kek'] } }, /keks\.card-number\[0\]/],
    [
      'a relative path of a retired KEK',
      { keks: {}, openKeks: { x: ['./a'] } },
      /localKeks\.openKeks\.x\[0\]/,
    ],
  ])('refuse %s', (_name, options, message) => {
    expect(() => localKeks(options as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_OPTION',
        message: expect.stringMatching(message) as string,
      }),
    );
  });
});

describe('start', () => {
  it('gives names that say nothing of the path, each KEK once', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { provider } = await started([a, b, a]);
    expect(provider.keks(CARD.purpose)).toEqual([a.name, b.name]);
    expect(a.name).toMatch(/^local:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  });

  it('reads no file before it, and none after it', async () => {
    const file = await keyFile();
    localKeks({ keks: { [CARD.purpose]: ['/nowhere/a.kek'] } });
    const { provider } = await started([file]);
    rmSync(file.path);
    const { wrap, root } = await provider.generate(file.name, CARD);
    expect(await provider.unwrap([wrap], CARD)).toEqual(root);
  });

  it('refuses a missing file in keks', async () => {
    const error = await failure('ERR_KMS_KEK_UNUSABLE', started(['/nowhere/a.kek']));
    expect(error.message).toContain('/nowhere/a.kek');
  });

  it('warns of a retired KEK whose file is missing, and starts', async () => {
    const file = await keyFile();
    const { provider, events } = await started([file], ['/nowhere/b.kek']);
    expect(provider.keks(CARD.purpose)).toEqual([file.name]);
    expect(events).toMatchObject([{ type: 'warning', code: 'ERR_KMS_KEK_UNUSABLE' }]);
  });

  it('refuses a file that others may read, or that is none, among the retired ones too', async () => {
    const [good, open] = [await keyFile(), await keyFile()];
    chmodSync(open.path, 0o644);
    for (const bad of [open, fileWith('{}')]) {
      await failure('ERR_CONFIG_KEK_FILE', started([good, bad]));
      await failure('ERR_CONFIG_KEK_FILE', started([good], [bad]));
    }
  });
});

describe('unwrap', () => {
  it('opens wraps of a retired KEK, which wraps nothing new', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { provider: before } = await started([b]);
    const { wrap, root } = await before.generate(b.name, CARD);
    const { provider } = await started([a], [b]);
    expect(provider.keks(CARD.purpose)).toEqual([a.name]);
    expect(await provider.unwrap([wrap], CARD)).toEqual(root);
    await failure('ERR_KMS_KEK_NOT_CONFIGURED', provider.generate(b.name, CARD));
  });

  it('goes to the next wrap where the file of the first is missing', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { provider: before } = await started([a, b]);
    const lost = (await before.generate(b.name, CARD)).wrap;
    const { wrap, root } = await before.generate(a.name, CARD);
    rmSync(b.path);
    const { provider, events } = await started([a], [b]);
    expect(await provider.unwrap([lost, wrap], CARD)).toEqual(root);
    const error = await failure('ERR_KMS_KEK_UNUSABLE', provider.unwrap([lost], CARD));
    expect(error.message).toContain(
      `${b.name} for purpose "card-number": expected it in a key file, got none, and ${b.path}`,
    );
    expect(events.map(({ type }) => type)).toEqual(['warning']);
    expect(provider.calls()).toEqual({ Decrypt: 1 });
  });

  it('refuses a name of another form even while a file is missing', async () => {
    const a = await keyFile();
    const { provider } = await started([a], ['/nowhere/b.kek']);
    const { wrap } = await provider.generate(a.name, CARD);
    for (const kek of ['arn:aws:kms:eu-central-1:111111111111:key/x', `${UNKNOWN}0`, '']) {
      await failure('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([wrap, { ...wrap, kek }], CARD));
    }
  });

  it('notices a key file that was exchanged for another', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { wrap } = await (await started([a])).provider.generate(a.name, CARD);
    renameSync(b.path, a.path);
    const { provider } = await started([a]);
    const error = await failure('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([wrap], CARD));
    expect(error.message).toContain(a.name);
  });

  it('refuses a wrap that another KEK made, though the row names a configured one', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { provider } = await started([a, b]);
    const { wrap } = await provider.generate(a.name, CARD);
    await failure('ERR_KMS_WRAP_REFUSED', provider.unwrap([{ ...wrap, kek: b.name }], CARD));
  });

  it('raises an alarm for a wrap that does not open, and says its length alone', async () => {
    const a = await keyFile();
    const { provider, events } = await started([a]);
    const { wrap, root } = await provider.generate(a.name, CARD);
    recordKey(root);
    const wrapped = Buffer.alloc(7, 'x');
    const error = await failure('ERR_KMS_WRAP_REFUSED', provider.unwrap([{ ...wrap, wrapped }], CARD));
    expect(error.message).toContain('expected a wrap of 81 bytes that localKeks made, got 7 bytes');
    const moved = await failure('ERR_KMS_WRAP_REFUSED', provider.unwrap([wrap], { ...CARD, kind: 'store' }));
    expect(moved.message).toContain('kind store');
    expect(moved.message).toContain('got bytes that do not verify');
    expect(events).toMatchObject([
      { type: 'alarm', code: 'ERR_KMS_WRAP_REFUSED' },
      { type: 'alarm', code: 'ERR_KMS_WRAP_REFUSED' },
    ]);
    expectNoKey(JSON.stringify([events, error, moved]) + inspect([error, moved]), a.keyBytes, root);
  });

  it('repeats no name that is none of a local KEK', async () => {
    const a = await keyFile();
    const { provider } = await started([a]);
    const { wrap } = await provider.generate(a.name, CARD);
    const planted = { ...wrap, kek: '4111111111111111' };
    const error = await failure('ERR_KMS_KEK_NOT_CONFIGURED', provider.unwrap([planted], CARD));
    expect(error.message).not.toContain('4111');
  });
});

describe('envelope keys', () => {
  it('open under a retired KEK, which makes none', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { root, wrapped } = await (await started([b])).provider.generateEnvelope(b.name, SCOPE);
    recordKey(root);
    const { provider } = await started([a], [b]);
    expect(provider.openKeks(CARD.purpose)).toEqual([a.name, b.name]);
    expect(await provider.unwrapEnvelope(b.name, wrapped, SCOPE)).toEqual(root);
    await failure('ERR_KMS_KEK_NOT_CONFIGURED', provider.generateEnvelope(b.name, SCOPE));
  });

  it('say which file is missing, without an alarm', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { wrapped } = await (await started([b])).provider.generateEnvelope(b.name, SCOPE);
    rmSync(b.path);
    const { provider, events } = await started([a], [b]);
    const error = await failure('ERR_KMS_KEK_UNUSABLE', provider.unwrapEnvelope(b.name, wrapped, SCOPE));
    expect(error.message).toContain(b.path);
    expect(events.map(({ type }) => type)).toEqual(['warning']);
  });

  it('raise an alarm where they do not open', async () => {
    const a = await keyFile();
    const { provider, events } = await started([a]);
    const { wrapped } = await provider.generateEnvelope(a.name, SCOPE);
    const other = { ...SCOPE, environment: 'production' };
    const error = await failure('ERR_KMS_WRAP_REFUSED', provider.unwrapEnvelope(a.name, wrapped, other));
    expect(error.message).toContain('delivery envelope: expected a wrap of 81 bytes');
    expect(events).toMatchObject([{ type: 'alarm', code: 'ERR_KMS_WRAP_REFUSED' }]);
  });
});

describe('startWriteOnly', () => {
  it('reads the files of keks alone, and refuses a missing one', async () => {
    const a = await keyFile();
    const options = { keks: { [CARD.purpose]: [a.path] }, openKeks: { [CARD.purpose]: ['/nowhere/b.kek'] } };
    const provider = localKeks(options);
    after(() => provider.close());
    const warnings: unknown[] = [];
    await provider.startWriteOnly([SCOPE], (event) => warnings.push(event));
    expect(provider.keks(CARD.purpose)).toEqual([a.name]);
    expect(provider.openKeks(CARD.purpose)).toEqual([]);
    expect(warnings).toEqual([]);
    rmSync(a.path);
    const error = await failure(
      'ERR_KMS_KEK_UNUSABLE',
      localKeks(options).startWriteOnly([SCOPE], () => undefined),
    );
    expect(error.message).toContain(a.path);
  });

  it('makes nothing secret of it that whoever holds the file can open', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const provider = localKeks({ keks: { [CARD.purpose]: [a.path, b.path] } });
    after(() => provider.close());
    await provider.startWriteOnly([SCOPE], () => undefined);
    const { root, wrapped } = await provider.generateEnvelope(b.name, SCOPE);
    expect(await provider.notDenied(SCOPE)).toEqual(
      [a, b].map(({ name }) => ({ kek: name, operation: 'Decrypt', answer: 'allowed' })),
    );
    await failure('ERR_KMS_WRITE_ONLY', provider.unwrapEnvelope(b.name, wrapped, SCOPE));
    expect(provider.calls()).toEqual({ GenerateDataKey: 1 });
    const { provider: reader } = await started([a, b]);
    expect(await reader.unwrapEnvelope(b.name, wrapped, SCOPE)).toEqual(root);
  });
});

describe('pairs', () => {
  const PAIR = { ...CARD, kind: 'pair', delivery: 'sealed' } as const;

  it('say how long a wrap may be when it is longer', async () => {
    const a = await keyFile();
    const { provider } = await started([a]);
    const { wrap } = await provider.generatePair(a.name, PAIR);
    const long = { ...wrap, wrapped: Buffer.alloc(400, 1) };
    const error = await failure('ERR_KMS_WRAP_REFUSED', provider.unwrapPair([long], PAIR));
    expect(error.message).toContain('expected a wrap of 82 to 305 bytes that localKeks made, got 400 bytes');
    await failure('ERR_KMS_WRAP_REFUSED', provider.unwrapPair([], PAIR));
  });

  it('count under the name of AWS KMS', async () => {
    const a = await keyFile();
    const { provider } = await started([a]);
    const { wrap } = await provider.generatePair(a.name, PAIR);
    await provider.unwrapPair([wrap], PAIR);
    expect(provider.calls()).toEqual({ GenerateDataKeyPairWithoutPlaintext: 1, Decrypt: 1 });
  });
});

describe('the provider', () => {
  it('shows no key in inspect or JSON', async () => {
    const [a, b] = [await keyFile(), await keyFile()];
    const { provider } = await started([a], [b]);
    const shown = [inspect(provider, { depth: 9, showHidden: true }), JSON.stringify(provider)];
    expectNoKey(shown.join('\n'), a.keyBytes, b.keyBytes);
    expect(Object.keys(provider)).toEqual([]);
  });

  it('counts under the names of AWS KMS', async () => {
    const a = await keyFile();
    const { provider } = await started([a]);
    const { wrap } = await provider.generate(a.name, CARD);
    await provider.unwrap([wrap], CARD);
    expect(provider.calls()).toEqual({ GenerateDataKey: 1, Decrypt: 1 });
  });

  it('refuses everything once it is closed, also when that was during start', async () => {
    const a = await keyFile();
    const { provider } = await started([a]);
    const { wrap } = await provider.generate(a.name, CARD);
    await provider.close();
    await provider.close();
    const error = await failure('ERR_KMS_UNAVAILABLE', provider.generate(a.name, CARD));
    expect(error.message).toContain('was closed');
    await failure('ERR_KMS_UNAVAILABLE', provider.unwrap([wrap], CARD));

    const other = localKeks({ keks: { [CARD.purpose]: [a.path] } });
    const starting = failure(
      'ERR_KMS_UNAVAILABLE',
      other.start([CARD.purpose], () => undefined),
    );
    await other.close();
    await starting;
  });

  it('refuses to work before start', async () => {
    const a = await keyFile();
    const provider = localKeks({ keks: { [CARD.purpose]: [a.path] } });
    const error = await failure('ERR_KMS_KEK_NOT_CONFIGURED', provider.generate(a.name, CARD));
    expect(error.message).toContain('start() was not called');
  });
});
