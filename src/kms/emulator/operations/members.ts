/** Members of requests and answers that several operations have. */
import { z } from 'zod';

export const keyId = z.string().min(1).max(2_048);

/** Blobs travel as base64. Sizes in bytes, AWS's limits. */
export const blob = (max: number) =>
  z
    .base64()
    .transform((text) => Buffer.from(text, 'base64'))
    .refine((bytes) => bytes.length >= 1 && bytes.length <= max, { error: `must have 1 to ${max} bytes` });

export const encryptionContext = z
  .record(z.string().min(1), z.string())
  .optional()
  .transform((context) => context ?? {});

export const dryRun = z.boolean().optional();

export const MAX_CIPHERTEXT_BYTES = 6_144;
export const MAX_PLAINTEXT_BYTES = 4_096;

/** AWS JSON writes points in time as seconds since the epoch. */
export function seconds(ms: number): number {
  return ms / 1_000;
}
