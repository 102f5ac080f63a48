/** Settings from environment variables, checked once at the start of a process. */
import { CronPattern } from 'croner';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);
const databaseUrl = z.url({
  protocol: /^postgres(?:ql)?$/u,
  error: 'expected a URL such as postgres://role:password@host/db',
});

const shared = {
  DATABASE_URL: databaseUrl,
  AWS_REGION: z.string({ error: 'expected a region such as eu-central-1' }).min(1),
  CARD_DELIVERY: z.string().default('envelope'),
};

const WEB = z.object({
  ...shared,
  HOST: z.string().default('127.0.0.1'),
  PORT: port.default(3000),
  COOKIE_SECRET: z
    .string({ error: 'expected 32 characters or more' })
    .min(32, { error: 'expected 32 characters or more' }),
});

const PAYMENT = z.object({
  ...shared,
  /** ARNs of the KEKs by purpose, as JSON: who may only Decrypt cannot ask which key an alias stands for. */
  KEK_ARNS: z
    .string({ error: 'expected JSON such as {"card-number":["arn:aws:kms:…"]}' })
    .transform(parseJson)
    .pipe(z.record(z.string(), z.array(z.string().startsWith('arn:')).min(1))),
  /** The books of the simulated acquirer, which are not the shop's. */
  ACQUIRER_URL: databaseUrl,
  CHARGE_CRON: z
    .string()
    .default('* * * * *')
    .refine(isCronPattern, { error: 'expected a cron pattern such as * * * * *' }),
  /** How long the simulated acquirer takes, before it books a charge and again before it answers. */
  ACQUIRER_DELAY_MS: z.coerce.number().int().min(0).max(60_000).default(0),
});

export type WebSettings = z.infer<typeof WEB>;
export type PaymentSettings = z.infer<typeof PAYMENT>;

export const webSettings = (): WebSettings => parse(WEB);
export const paymentSettings = (): PaymentSettings => parse(PAYMENT);

/** What is no JSON is nothing, which the next rule refuses. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A setting is missing or wrong. The message names it and shows no value: some of them are secrets. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

function parse<T>(schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(process.env);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new SettingsError(`Environment variables are missing or wrong. ${wrong.join('; ')}.`);
}

function isCronPattern(text: string): boolean {
  try {
    return new CronPattern(text) instanceof CronPattern;
  } catch {
    return false;
  }
}
