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
