/** Controls, direction marks and lone surrogates: what moves a terminal's cursor or hides what stands there. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Text out of a file for a message: on one line, nothing that a terminal would obey, cut after `most` characters. */
export function printable(text: string, most = 300): string {
  const shown = text
    .slice(0, most)
    .replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  if (text.length <= most && shown.length <= most) return shown;
  const cut = shown.slice(0, most).replace(/[\uD800-\uDBFF]$/, ""); // no half of a character
  return `${cut}… (${text.length} characters)`;
}
