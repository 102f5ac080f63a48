const MM_YY = /^(0[1-9]|1[0-2])\/(\d{2})$/u;

/** Whether a text is an expiry date on a card, `MM/YY`. */
export function isExpiry(text: string): boolean {
  return MM_YY.test(text);
}

/** Whether a card of this expiry date is over. It is valid to the end of its month. */
export function isExpired(expires: string, now: Date): boolean {
  const [, month, year] = MM_YY.exec(expires) ?? [];
  if (month === undefined || year === undefined) return true;
  return now.getTime() >= Date.UTC(2000 + Number(year), Number(month), 1);
}
