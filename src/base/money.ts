/** Money for people: an amount in minor units with the digits that its currency has. Pure. */

/** @param minor cents, or what the currency has instead @param currency ISO 4217 */
export function money(minor: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat('en', { style: 'currency', currency, currencyDisplay: 'code' });
    const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
    return format.format(minor / 10 ** digits).replaceAll('\u00a0', ' ');
  } catch {
    return `${minor} minor units of ${currency}`;
  }
}

/** What may be charged at most, in words. @param days of the period */
export function limitInWords(minor: number, currency: string, days: number): string {
  return `${money(minor, currency)} in ${days === 1 ? '1 day' : `${days} days`}`;
}
