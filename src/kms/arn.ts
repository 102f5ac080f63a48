/** Names of keys in AWS KMS. */

const KEY_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/[\w-]{1,64}$/;
const ARN_REGION = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(?:key|alias)\//;

/** Whether the text is the ARN of a key (an alias ARN is not). */
export function isKeyArn(text: string): boolean {
  return KEY_ARN.test(text);
}

/** The region that a key ARN or alias ARN names; undefined for plain aliases and ids. */
export function regionOfArn(name: string): string | undefined {
  return ARN_REGION.exec(name)?.[1];
}

/**
 * Whether the KMS may answer with this key ARN where it was asked by this name. An ARN or id names one key; an alias any,
 * an alias ARN any of its region and account.
 */
export function mayName(name: string, keyArn: string): boolean {
  const aliasAt = name.indexOf('alias/');
  if (aliasAt >= 0) return keyArn.startsWith(name.slice(0, aliasAt));
  return keyArn === name || keyArn.endsWith(`:key/${name}`);
}
