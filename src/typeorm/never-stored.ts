/**
 * Names of what may not be stored after authorisation, even encrypted (PCI DSS 3.3.1): card verification values, PINs,
 * track data. A spelling check: it knows names, not values, and catches slips, not intent.
 */

/** Parts of a name that say it, one word or several in a row, in lower case. */
const NEVER_STORED: ReadonlySet<string> = new Set([
  ...['cvv', 'cvv2', 'cvc', 'cvc2', 'cid', 'csc', 'cvn', 'cvn2', 'cav', 'cav2', 'cvd', 'icvv'],
  ...['cvvcode', 'cvccode', 'securitycode', 'verificationvalue'],
  ...['cardverification', 'cardverificationcode', 'cardverificationnumber', 'cardcode'],
  ...['pin', 'pinblock', 'pincode', 'pinnumber', 'cardpin', 'encryptedpin'],
  ...['track1', 'track2', 'track3', 'trackone', 'tracktwo', 'trackdata', 'fulltrack'],
  ...['magstripe', 'magneticstripe', 'magstrip'],
]);

/** What is in no other word, so that it is found within one as well: `usercvv`, and not `cvVideo`. */
const UNMISTAKABLE = /cvv|cardverification|magstripe|magneticstripe|pinblock/u;

/**
 * Whether a property or column is named like one of them: `cvv`, `cardSecurityCode`, `PIN_BLOCK`, `track_2`, and not
 * `spinner`, `pinterestUrl` or `trackingNumber`, in which these are no parts.
 */
export function isNamedLikeNeverStored(name: string): boolean {
  const parts = name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/gu) ?? [];
  const words = parts.map((part) => part.toLowerCase());
  return (
    words.some((word) => UNMISTAKABLE.test(word)) ||
    words.some((_, from) =>
      words.slice(from).some((_, more) => NEVER_STORED.has(words.slice(from, from + more + 1).join(''))),
    )
  );
}
