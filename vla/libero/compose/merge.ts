/**
 * How pieces of MJCF become one model: names get a prefix, assets are pooled, file names become `libero/...` or
 * `robosuite/...`.
 */

import { FormatError } from "../../../core/index.ts";
import { dirname, isAbsolute, join, relative, sep } from "../../platform/node.ts";
import { checkMjcf, NAMES } from "./mjcf.ts";
import { child, type Element, element, readXml, walk, whereIs } from "./xml.ts";

/** The two asset folders, absolute. */
export interface AssetRoots {
  /** `<clone of LIBERO>/libero/libero/assets` */
  readonly libero: string;
  /** `<clone of robosuite>/robosuite/models/assets` */
  readonly robosuite: string;
}

/** The sections of an MJCF file that take part in a merge. */
const SECTIONS = ["asset", "worldbody", "actuator", "sensor"] as const;
export type Piece = Readonly<Record<(typeof SECTIONS)[number], Element>>;

export function emptyPiece(): Piece {
  return sections((tag) => element(tag));
}

/**
 * Reads one MJCF file; its default classes are written into the elements, its files named by root.
 *
 * @throws FormatError for a file that is missing, malformed, or more than a scene may hold
 */
export function readPiece(path: string, roots: AssetRoots): Piece {
  const root = path.startsWith(roots.libero + sep) ? roots.libero : roots.robosuite;
  const model = readXml(path, root);
  if (model.tag !== "mujoco") throw new FormatError(whereIs(model), "<mujoco>", `<${model.tag}>`);
  const tags = model.children.map((e) => e.tag);
  const twice = SECTIONS.find((tag) => tags.indexOf(tag) < tags.lastIndexOf(tag));
  if (twice !== undefined) throw new FormatError(path, `one <${twice}>`, "more");
  if (tags.includes("include")) throw new FormatError(path, "a model in one file", "<include>");
  inlineDefaults(model);
  for (const e of walk(model)) {
    const file = e.attributes.get("file");
    if (file !== undefined) e.attributes.set("file", assetName(join(dirname(path), file), whereIs(e), roots));
  }
  const piece = sections((tag) => child(model, tag) ?? element(tag));
  for (const section of Object.values(piece)) checkMjcf(section);
  return piece;
}

function sections(make: (tag: string) => Element): Piece {
  return Object.fromEntries(SECTIONS.map((tag) => [tag, make(tag)])) as Piece;
}

/**
 * `/clone/.../assets/textures/a.png` → `libero/textures/a.png`.
 *
 * @throws FormatError for a file outside both folders
 */
export function assetName(path: string, who: string, roots: AssetRoots): string {
  for (const [name, root] of Object.entries(roots)) {
    const steps = relative(root, path).split(sep);
    if (steps[0] !== ".." && !isAbsolute(steps.join(sep))) return `${name}/${steps.join("/")}`;
  }
  throw new FormatError(who, `a file inside ${Object.values(roots).join(" or ")}`, path);
}

/** The inverse of `assetName`. */
export function assetPath(name: string, roots: AssetRoots): string {
  const [root, ...rest] = name.split("/");
  return join(roots[root as keyof AssetRoots], ...rest);
}

/** `<geom class="c">` gets what `<default class="c"><geom .../></default>` says and it does not. */
function inlineDefaults(model: Element): void {
  const classes = new Map<string, Element>();
  for (const e of walk(model)) {
    const name = e.tag === "default" ? e.attributes.get("class") : undefined;
    if (name !== undefined) classes.set(name, e);
  }
  for (const e of walk(model)) {
    const name = e.tag === "default" ? undefined : e.attributes.get("class");
    if (name === undefined) continue;
    e.attributes.delete("class");
    const defaults = classes.get(name);
    if (defaults === undefined)
      throw new FormatError(whereIs(e), `class "${name}" among the file's defaults`, "none");
    for (const [key, value] of child(defaults, e.tag)?.attributes ?? []) {
      if (!e.attributes.has(key)) e.attributes.set(key, value);
    }
  }
}

export function prefixNames(root: Element, prefix: string): void {
  for (const e of walk(root)) {
    for (const key of NAMES) {
      const name = e.attributes.get(key);
      if (name !== undefined) e.attributes.set(key, prefix + name);
    }
  }
}

/** Appends assets; of two with the same tag and name the first wins. */
export function mergeAssets(into: Element, from: Element): void {
  const key = (e: Element): string => `${e.tag} ${e.attributes.get("name") ?? ""}`;
  const taken = new Set(into.children.map(key));
  for (const asset of from.children) {
    if (!taken.has(key(asset))) into.children.push(asset);
    taken.add(key(asset));
  }
}

export function isCollision(e: Element): boolean {
  return e.tag === "geom" && (e.attributes.get("group") ?? "0") === "0";
}

/** Collision geoms of robot and arena get one colour each and lose their material; images do not show them. */
export function recolourCollision(root: Element, rgba: string): void {
  for (const e of walk(root)) {
    if (!isCollision(e)) continue;
    e.attributes.set("rgba", rgba);
    e.attributes.delete("material");
  }
}
