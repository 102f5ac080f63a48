/** Whether the last digit fits the others (ISO/IEC 7812-1, annex B: Luhn). Finds typing errors, proves nothing. */
export function isLuhnValid(digits: string): boolean {
  const sum = Array.from(digits, Number)
    .reverse()
    .reduce((total, digit, i) => total + (i % 2 === 0 ? digit : doubled(digit)), 0);
  return sum % 10 === 0;
}

function doubled(digit: number): number {
  return digit > 4 ? digit * 2 - 9 : digit * 2;
}

/** A mask of the last four digits as it is shown. */
export function shownMask(mask: string | null | undefined): string {
  return `•••• ${mask ?? '????'}`;
}
