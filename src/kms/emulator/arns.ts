/** Names in the emulator's one account. */

/** AWS gives no account this number, so nothing of the emulator can be mistaken for something real. */
export const ACCOUNT = '000000000000';

export const ACCOUNT_ROOT = `arn:aws:iam::${ACCOUNT}:root`;

export function keyArn(region: string, keyId: string): string {
  return `arn:aws:kms:${region}:${ACCOUNT}:key/${keyId}`;
}

export function aliasArn(region: string, alias: string): string {
  return `arn:aws:kms:${region}:${ACCOUNT}:${alias}`;
}

export function principalArn(name: string): string {
  return `arn:aws:iam::${ACCOUNT}:user/${name}`;
}
