/** Controls, direction marks and lone surrogates: what moves a terminal's cursor or hides what stands there. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Text out of a file for a message: on one line, nothing that a terminal would obey, at most `most` characters. */
export function printable(text: string, most = 300): string {
  const shown = text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text;
  return shown.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
