/**
 * Proving in AWS KMS what the credentials of this process may not do: calls with DryRun, which the KMS refuses either
 * because they are not allowed or because they are dry (AWS KMS Developer Guide, "Test your permissions").
 */
import { randomUUID } from 'node:crypto';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { KeyScope, Privilege } from '../keys/ports.js';
import type { StoreContext } from '../keys/store-contexts.js';
import { answerOf, reasonOf } from './aws-calls.js';
import type { AwsCall, AwsCalls, AwsSdk } from './aws-calls.js';
import { generateDataKey } from './aws-data-keys.js';
import { nameOf } from './aws-failures.js';
import { envelopeContext, membersOf } from './wrap-context.js';

const ALLOWED = 'allowed';

/** A wrap of a data key that nobody uses. */
interface Probe {
  readonly kek: string;
  readonly wrapped: Buffer;
  readonly context: Record<string, string>;
}

type Question = (
  client: KMSClient,
  sdk: AwsSdk,
  options: { readonly abortSignal: AbortSignal },
  probe: Probe,
) => Promise<{ readonly Plaintext?: Uint8Array | undefined }>;

const decrypt: Question = (client, sdk, options, { kek, wrapped, context }) =>
  client.send(
    new sdk.DecryptCommand({
      KeyId: kek,
      CiphertextBlob: wrapped,
      EncryptionContext: context,
      DryRun: true,
    }),
    options,
  );

/** To the account of the KEK itself, since the KMS may look whether there is such a principal. */
const createGrant: Question = async (client, sdk, options, { kek }) => {
  const [, partition, , , account] = kek.split(':');
  await client.send(
    new sdk.CreateGrantCommand({
      KeyId: kek,
      GranteePrincipal: `arn:${partition}:iam::${account}:root`,
      Operations: ['Decrypt'],
      DryRun: true,
    }),
    options,
  );
  return {};
};

const QUESTIONS: readonly (readonly [operation: Privilege['operation'], ask: Question])[] = [
  ['Decrypt', decrypt],
  [
    'ReEncrypt',
    async (client, sdk, options, { kek, wrapped, context }) => {
      await client.send(
        new sdk.ReEncryptCommand({
          CiphertextBlob: wrapped,
          SourceKeyId: kek,
          SourceEncryptionContext: context,
          DestinationKeyId: kek,
          DestinationEncryptionContext: context,
          DryRun: true,
        }),
        options,
      );
      return {};
    },
  ],
];

/**
 * The answers that are no denial, in the order of `keks`. Three calls per KEK; with `stored` one more, and one for each of
 * these contexts. @throws KmsError.
 */
export async function notDenied(
  calls: AwsCalls,
  keks: readonly string[],
  scope: KeyScope,
  stored?: readonly StoreContext[],
): Promise<readonly Privilege[]> {
  const asked = await Promise.all(keks.map((kek) => privilegesUnder(calls, kek, scope, stored)));
  return asked.flat();
}

async function privilegesUnder(
  calls: AwsCalls,
  kek: string,
  scope: KeyScope,
  stored?: readonly StoreContext[],
): Promise<readonly Privilege[]> {
  const context = envelopeContext(scope);
  const { root, wrapped } = answerOf(await generateDataKey(calls, kek, context));
  root.fill(0);
  const probe = { kek, wrapped, context: membersOf(context) };
  const reason = `${reasonOf(context)}, dry run`;
  const privileges = await Promise.all(
    QUESTIONS.map(async ([operation, ask]) => ({
      kek,
      operation,
      answer: await answerTo(calls, { operation, kek, reason }, ask, probe),
    })),
  );
  const more = stored === undefined ? [] : await furtherPrivileges(calls, probe, scope, stored);
  return [...privileges, ...more].filter(({ answer }) => answer !== 'AccessDeniedException');
}

/**
 * A process that may not make a key of a key store has no wrap of one. The KMS asks whether Decrypt is allowed before it
 * looks at the wrap: of another context, that is refused for itself, which is an answer other than a denial.
 */
async function furtherPrivileges(
  calls: AwsCalls,
  probe: Probe,
  scope: KeyScope,
  stored: readonly StoreContext[],
): Promise<readonly Privilege[]> {
  const { kek } = probe;
  const { application, environment, purpose } = scope;
  const decrypts = stored.map(async (context): Promise<Privilege> => {
    const whole = { application, environment, purpose, ...context, wrapId: randomUUID() };
    const names = { operation: 'Decrypt', kek, reason: `${reasonOf(whole)}, dry run` };
    const answer = await answerTo(calls, names, decrypt, { ...probe, context: membersOf(whole) });
    return { kek, operation: 'Decrypt', context, answer };
  });
  const names = { operation: 'CreateGrant', kek, reason: `purpose "${purpose}", dry run` };
  const grant = answerTo(calls, names, createGrant, probe);
  return [...(await Promise.all(decrypts)), { kek, operation: 'CreateGrant', answer: await grant }];
}

/** `'allowed'`, or the name of the error. @throws KmsError when the provider is closed. */
async function answerTo(
  calls: AwsCalls,
  names: Pick<AwsCall<string>, 'operation' | 'kek' | 'reason'>,
  ask: Question,
  probe: Probe,
): Promise<string> {
  const outcome = await calls.make<string>({
    ...names,
    send: async (client, sdk, options) => {
      const { Plaintext } = await ask(client, sdk, options, probe);
      // The KMS answers no dry run: what does has told a key.
      Plaintext?.fill(0);
      return ALLOWED;
    },
    answerIn: (error) => (nameOf(error) === 'DryRunOperationException' ? ALLOWED : nameOf(error)),
  });
  return answerOf(outcome);
}
