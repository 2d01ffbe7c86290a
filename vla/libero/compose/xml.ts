/** MJCF as a plain tree. MJCF carries everything in attributes, so text and comments are dropped. */

import { existsSync, readFileSync } from "node:fs";
import { DOMParser, type Element as DomElement } from "@xmldom/xmldom";

export interface Element {
  readonly tag: string;
  readonly attributes: Map<string, string>;
  readonly children: Element[];
}

export function element(
  tag: string,
  attributes: Record<string, string> = {},
  children: Element[] = [],
): Element {
  return { tag, attributes: new Map(Object.entries(attributes)), children };
}

/** @param root the folder that the file was looked for under, for the error message */
export function readXml(path: string, root: string): Element {
  if (!existsSync(path)) throw new Error(`file ${path} is missing (looked for under ${root})`);
  return parseXml(readFileSync(path, "utf8"), path);
}

export function parseXml(text: string, who: string): Element {
  const parser = new DOMParser({
    onError: (level, message) => {
      throw new Error(`${who}: not well-formed XML (${level}): ${message}`);
    },
  });
  const { documentElement } = parser.parseFromString(text, "text/xml");
  if (documentElement === null) throw new Error(`${who}: no XML element found`);
  return fromDom(documentElement);
}

function fromDom(node: DomElement): Element {
  const out = element(node.tagName);
  for (const { name, value } of Array.from(node.attributes)) {
    // Values may be broken over lines; MuJoCo splits them at any white space.
    out.attributes.set(name, value.replace(/\s+/g, " ").trim());
  }
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.nodeType === child.ELEMENT_NODE) out.children.push(fromDom(child as DomElement));
  }
  return out;
}

/** The element and all below it, parents first, in document order. */
export function* walk(e: Element): Generator<Element> {
  yield e;
  for (const child of e.children) yield* walk(child);
}

/** First direct child with this tag and, if given, this name. */
export function child(e: Element, tag: string, name?: string): Element | undefined {
  return e.children.find((c) => c.tag === tag && (name === undefined || c.attributes.get("name") === name));
}

export function childOrFail(e: Element, tag: string, name: string | undefined, who: string): Element {
  const found = child(e, tag, name);
  if (found === undefined) {
    throw new Error(
      `${who}: expected <${tag}${name === undefined ? "" : ` name="${name}"`}> in <${e.tag}>, found none`,
    );
  }
  return found;
}

/** The numbers of an attribute such as `pos`. */
export function numbers(e: Element, attribute: string): number[] | undefined {
  return e.attributes.get(attribute)?.split(" ").map(Number);
}

export function formatXml(e: Element, indent = ""): string {
  const attributes = [...e.attributes].map(([name, value]) => ` ${name}="${escapeValue(value)}"`).join("");
  if (e.children.length === 0) return `${indent}<${e.tag}${attributes}/>\n`;
  const inside = e.children.map((c) => formatXml(c, indent + "  ")).join("");
  return `${indent}<${e.tag}${attributes}>\n${inside}${indent}</${e.tag}>\n`;
}

function escapeValue(value: string): string {
  return value.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}
