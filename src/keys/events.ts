/** What a field seal tells its `onEvent` listener. Events never hold a value, a key or ciphertext. */
import type { ErrorCode, FieldSealError } from '../errors.js';
import type { KeyState } from './states.js';

export type FieldSealEvent =
  | { readonly type: 'pool-refreshed'; readonly purpose: string; readonly keys: number }
  | {
      readonly type: 'refresh-failed';
      readonly purpose: string;
      readonly error: FieldSealError;
      readonly outageLeftMs: number;
    }
  | {
      readonly type: 'key-moved';
      readonly purpose: string;
      readonly fingerprint: string;
      readonly from: KeyState | null;
      readonly to: KeyState;
    }
  | { readonly type: 'key-revoked'; readonly purpose: string; readonly fingerprint: string }
  | { readonly type: 'warning'; readonly code: string; readonly message: string }
  | {
      readonly type: 'alarm';
      readonly code: ErrorCode;
      readonly message: string;
      readonly fingerprint?: string;
    };
