import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { printable } from "../../../core/index.ts";
import { html, preformatted } from "../../../vla/report/html.ts";

/** What a browser shows of escaped text. */
const read = (text: string): string =>
  text
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, "&");

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom(
    "</style><script>alert(1)</script>",
    `" onerror="x`,
    "' x='",
    "&lt;",
    "\u202egnp.exe",
    "]]>",
    "<!--",
  ),
);

describe("html", () => {
  test.prop([hostile])("shows any text as it is, and takes nothing in it for markup", (text) => {
    const shown = html`${text}`.text;
    expect(shown).not.toMatch(/[<>"']/);
    expect(read(shown)).toBe(printable(text, 2000));
    expect(read(preformatted(text).text)).toBe(
      text
        .split("\n")
        .map((line) => printable(line, 2000))
        .join("\n"),
    );
  });

  test("takes what is HTML already as it is, lists too", () => {
    const items = ["<", "b"].map((text) => html`<li>${text}</li>`);
    expect(html`<ul title="${'"'}">${items}${3}</ul>`.text).toBe(
      '<ul title="&quot;"><li>&lt;</li>\n<li>b</li>3</ul>',
    );
  });
});
