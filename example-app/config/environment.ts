/** Settings from environment variables, checked once at the start of a process. */
import { createPrivateKey } from 'node:crypto';
import { CronPattern } from 'croner';
import { z } from 'zod';
import { CARD_DELIVERIES, type CardDelivery } from './purposes.js';

const port = z.coerce.number().int().min(0).max(65_535);
const databaseUrl = z.url({
  protocol: /^postgres(?:ql)?$/u,
  error: 'expected a URL such as postgres://role:password@host/db',
});

const delivery = z
  .enum(CARD_DELIVERIES, {
    error: ({ input }) => `expected ${CARD_DELIVERIES.join(' or ')}, got ${String(input) || 'an empty text'}`,
  })
  .default('envelope');

const shared = {
  DATABASE_URL: databaseUrl,
  AWS_REGION: z.string({ error: 'expected a region such as eu-central-1' }).min(1),
  CARD_DELIVERY: delivery,
};

const PRIVATE_KEY = 'expected a private Ed25519 key as PEM';

const cron = z.string().refine(isCronPattern, { error: 'expected a cron pattern such as * * * * *' });

const WEB = z
  .object({
    ...shared,
    HOST: z.string().default('127.0.0.1'),
    PORT: port.default(3000),
    COOKIE_SECRET: z
      .string({ error: 'expected 32 characters or more' })
      .min(32, { error: 'expected 32 characters or more' }),
    /** Of who signs the lists of public keys. It comes with the process and not with the lists, which it vouches for. */
    LIST_VERIFICATION_KEY: z.string().optional(),
  })
  .refine((web) => web.CARD_DELIVERY !== 'sealed' || web.LIST_VERIFICATION_KEY !== undefined, {
    path: ['LIST_VERIFICATION_KEY'],
    error: 'expected a public Ed25519 key as PEM, since CARD_DELIVERY is sealed',
  });

const PAYMENT = z
  .object({
    ...shared,
    /** ARNs of the KEKs by purpose, as JSON: who may only Decrypt cannot ask which key an alias stands for. */
    KEK_ARNS: z
      .string({ error: 'expected JSON such as {"card-number":["arn:aws:kms:…"]}' })
      .transform(parseJson)
      .pipe(z.record(z.string(), z.array(z.string().startsWith('arn:')).min(1))),
    /** The private keys that cards are sealed to, wrapped. */
    KEY_STORE_URL: databaseUrl.optional(),
    /** The books of the simulated acquirer, which are not the shop's. */
    ACQUIRER_URL: databaseUrl,
    CHARGE_CRON: cron.default('* * * * *'),
    /** How long the simulated acquirer takes, before it books a charge and again before it answers. */
    ACQUIRER_DELAY_MS: z.coerce.number().int().min(0).max(60_000).default(0),
  })
  .refine((payment) => payment.CARD_DELIVERY !== 'sealed' || payment.KEY_STORE_URL !== undefined, {
    path: ['KEY_STORE_URL'],
    error: 'expected a URL such as postgres://role:password@host/keys, since CARD_DELIVERY is sealed',
  });

const KEYS = z.object({
  ...shared,
  CARD_DELIVERY: delivery.refine((given) => given === 'sealed', {
    error: 'expected sealed: with another delivery there are no keys to look after',
  }),
  KEY_STORE_URL: databaseUrl,
  /** Whoever has it decides whom the web tier seals to. */
  LIST_SIGNING_KEY: z
    .string({ error: PRIVATE_KEY })
    .refine(isSigningKey, { error: PRIVATE_KEY, abort: true })
    .transform((pem) => createPrivateKey(pem)),
  /** Well within the two hours that a list is good for. */
  PUBLISH_CRON: cron.default('*/15 * * * *'),
});

export type WebSettings = z.infer<typeof WEB>;
export type PaymentSettings = z.infer<typeof PAYMENT>;
export type KeysSettings = z.infer<typeof KEYS>;

export const webSettings = (): WebSettings => parse(WEB);
export const paymentSettings = (): PaymentSettings => parse(PAYMENT);
export const keysSettings = (): KeysSettings => parse(KEYS);

/** How card numbers get to their keys, for those who start the tiers. @throws SettingsError. */
export const cardDelivery = (): CardDelivery => parse(z.object({ CARD_DELIVERY: delivery })).CARD_DELIVERY;

/** What is no JSON is nothing, which the next rule refuses. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A setting is missing or wrong. The message names it and says what was expected; it shows no value that may be a secret. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

function parse<T>(schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(process.env);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new SettingsError(wrong.join('; '));
}

/** What OpenSSL says of a key is not passed on: it may quote it. */
function isSigningKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}

function isCronPattern(text: string): boolean {
  try {
    return new CronPattern(text) instanceof CronPattern;
  } catch {
    return false;
  }
}
