/** What the bench uses of typeorm-encrypted 0.8.0, which is installed in bench/peers only. */
declare module 'typeorm-encrypted' {
  import type { ValueTransformer } from 'typeorm';

  export class EncryptionTransformer implements ValueTransformer {
    constructor(options: { readonly key: string; readonly algorithm: string; readonly ivLength: number });
    from(value: unknown): string | undefined;
    to(value: unknown): unknown;
  }
}
