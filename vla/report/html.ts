import { printable } from "../../core/index.ts";

/** Longest text of a file that a page shows whole, characters. */
const MOST_TEXT = 2000;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text that is HTML already, and is put in as it is. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand between the parts of a template. */
export type Insert = string | number | Html | readonly Html[];

/**
 * HTML from a template: what is put in is shown as it reads, whatever it says, in text and within quoted attributes. It
 * stands on one line, controls and marks of direction written out, and is cut where it is very long.
 */
export function html(parts: TemplateStringsArray, ...inserts: readonly Insert[]): Html {
  return new Html(parts.reduce((text, part, i) => text + shown(inserts[i - 1]) + part));
}

/** Lines that keep their spaces, for a `<pre>`. */
export const preformatted = (text: string): Html => new Html(text.split("\n").map(escaped).join("\n"));

function shown(insert: Insert): string {
  if (insert instanceof Html) return insert.text;
  return Array.isArray(insert) ? insert.map(({ text }) => text).join("\n") : escaped(String(insert));
}

const escaped = (text: string): string =>
  printable(text, MOST_TEXT).replace(/[&<>"']/g, (character) => ENTITIES[character]);
