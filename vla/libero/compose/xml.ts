/** MJCF as a plain tree. MJCF carries everything in attributes, so text and comments are dropped. */

import { DOMParser, type Element as DomElement } from "@xmldom/xmldom";
import { FormatError } from "../../../core/index.ts";
import { exists, readText } from "../../platform/node.ts";

export interface Element {
  readonly tag: string;
  readonly attributes: Map<string, string>;
  readonly children: Element[];
  /** File and line that it was read from; null for an element made here. */
  readonly place: string | null;
}

export function element(
  tag: string,
  attributes: Record<string, string> = {},
  children: Element[] = [],
  place: string | null = null,
): Element {
  return { tag, attributes: new Map(Object.entries(attributes)), children, place };
}

/** LIBERO's and robosuite's largest MJCF file has 21 kB and 205 elements, 13 deep, with 12 attributes. */
const MOST_XML_BYTES = 2 ** 20;
const MOST_DEPTH = 64;
const MOST_ATTRIBUTES = 64;
/** In a file and in a scene: MuJoCo's work grows with the square of their number, 0.5 s for 10,000. */
const MOST_ELEMENTS = 10_000;

/** @param root the folder that the file was looked for under, for the error message */
export function readXml(path: string, root: string): Element {
  if (!exists(path)) throw new FormatError(path, `a file under ${root}`, "none");
  return parseXml(readText(path, MOST_XML_BYTES), path);
}

/** @throws FormatError for anything but one well-formed element of a size that MJCF has. */
export function parseXml(text: string, who: string): Element {
  let complaint: string | undefined;
  const parser = new DOMParser({
    onError: (_level, message, { locator }) => {
      complaint ??= locator?.lineNumber ? `${message} in line ${locator.lineNumber}` : message;
      throw new Error(message); // the parser would go on otherwise
    },
  });
  let root: DomElement | null;
  try {
    root = parser.parseFromString(text, "text/xml").documentElement;
  } catch (error) {
    throw new FormatError(who, "well-formed XML", complaint ?? String(error));
  }
  if (root === null) throw new FormatError(who, "well-formed XML", "no element");
  const tree = fromDom(root, who, 1);
  requireFew(tree, who);
  return tree;
}

/** @throws FormatError for more elements than MuJoCo compiles in passable time. */
export function requireFew(root: Element, who: string): void {
  let count = 0;
  for (const _ of walk(root)) count++;
  if (count > MOST_ELEMENTS) throw new FormatError(who, `at most ${MOST_ELEMENTS} elements`, `${count}`);
}

function fromDom(node: DomElement, who: string, depth: number): Element {
  const out = element(node.tagName, {}, [], `${who}:${node.lineNumber}`);
  if (depth > MOST_DEPTH)
    throw new FormatError(whereIs(out), `elements ${MOST_DEPTH} deep at most`, "deeper");
  if (node.attributes.length > MOST_ATTRIBUTES)
    throw new FormatError(whereIs(out), `at most ${MOST_ATTRIBUTES} attributes`, `${node.attributes.length}`);
  for (const { name, value } of Array.from(node.attributes)) {
    // Values may be broken over lines; MuJoCo splits them at any white space.
    out.attributes.set(name, value.replace(/\s+/g, " ").trim());
  }
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.nodeType === child.ELEMENT_NODE)
      out.children.push(fromDom(child as DomElement, who, depth + 1));
  }
  return out;
}

/** Where an element is and what it is called, for messages: `/clone/bowl.xml:12 <geom name="g1">`. */
export function whereIs(e: Element): string {
  const name = e.attributes.get("name");
  return `${e.place ?? "scene"} <${e.tag}${name === undefined ? "" : ` name="${name}"`}>`;
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
    const wanted = `<${tag}${name === undefined ? "" : ` name="${name}"`}>`;
    throw new FormatError(who, `${wanted} in <${e.tag}>`, "none");
  }
  return found;
}

/** The attribute that has to be there. @throws FormatError where it is not. */
export function attributeOrFail(e: Element, attribute: string): string {
  const value = e.attributes.get(attribute);
  if (value === undefined) throw new FormatError(whereIs(e), `an attribute ${attribute}`, "none");
  return value;
}

/** The `count` numbers of an attribute such as `pos`; undefined without it. @throws FormatError for anything else. */
export function numbers(e: Element, attribute: string, count: number): number[] | undefined {
  const value = e.attributes.get(attribute);
  if (value === undefined) return undefined;
  const found = value.split(" ").map(Number);
  if (value === "" || found.length !== count || !found.every(Number.isFinite))
    throw new FormatError(`${whereIs(e)} ${attribute}`, `${count} numbers`, `"${value}"`);
  return found;
}

/** One element to a line. */
export function formatXml(e: Element, indent = ""): string {
  const attributes = [...e.attributes].map(([name, value]) => ` ${name}="${escapeValue(value)}"`).join("");
  if (e.children.length === 0) return `${indent}<${e.tag}${attributes}/>\n`;
  const inside = e.children.map((c) => formatXml(c, indent + "  ")).join("");
  return `${indent}<${e.tag}${attributes}>\n${inside}${indent}</${e.tag}>\n`;
}

/** What stands in each line of `formatXml`: `whereIs` of its element. */
export function* formattedPlaces(e: Element): Generator<string> {
  const place = whereIs(e);
  yield place;
  if (e.children.length === 0) return;
  for (const c of e.children) yield* formattedPlaces(c);
  yield place;
}

function escapeValue(value: string): string {
  return value.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}
