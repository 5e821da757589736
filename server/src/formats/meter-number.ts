/**
 * Tells when a spreadsheet has turned a long meter number into a rounded one, as in `6,43007E+17`: the digits are
 * gone, so such a number must never become a meter. Undefined when the number is sound.
 */
export function lostDigits(meter: string): string | undefined {
  if (!/^\d{1,3}([.,]\d{1,17})?E\+?\d{1,3}$/i.test(meter.slice(0, 64))) return undefined;
  return (
    `The meter number ${meter.slice(0, 64)} lost its digits in a spreadsheet. Import the file as it was downloaded, ` +
    "or format the column as text and fill in the whole number."
  );
}
