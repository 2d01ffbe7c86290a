/**
 * What of MJCF a scene may use. MuJoCo checks most of a model itself, but not before the scene is played, and it
 * takes some values without a word that can be no intention: "nan", "inf", an empty list of numbers.
 */

import { FormatError } from "../../../core/index.ts";
import { extname } from "../../platform/node.ts";
import { MOST_NUMBER } from "../state-layout.ts";
import { type Element, whereIs } from "./xml.ts";

/** Elements of the two sections whose pieces are looked into; frames or replicas would not be understood here. */
const TAGS: Readonly<Record<string, readonly string[]>> = {
  asset: ["texture", "material", "mesh"],
  worldbody: ["body", "inertial", "joint", "freejoint", "geom", "site", "camera", "light"],
};

/** Attributes that hold the name of something in the same piece. */
export const NAMES: readonly string[] = [
  "name",
  "mesh",
  "material",
  "texture",
  "joint",
  "site",
  "body",
  "geom",
  "hfield",
  "target",
];
/** Attributes whose values may begin like a number and are none: a texture's type is "2d". */
const TEXTS: readonly string[] = [...NAMES, "type", "file", "class", "gridlayout"];

/** What MuJoCo begins to read as a number. */
const BEGINS_LIKE_A_NUMBER = /^[-+]?(\.?\d|(nan|inf|infinity)\b)/i;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** Which files MuJoCo reads, by their endings. */
const ENDINGS: Readonly<Record<string, readonly string[]>> = {
  texture: [".png"],
  mesh: [".obj", ".stl", ".msh"],
};
/** Largest picture, pixels: 8192 × 8192, 200 MB in memory. */
export const MOST_PIXELS = 2 ** 26;

/** @throws FormatError for what is not, or cannot be, part of a scene; it names file, line and attribute. */
export function checkMjcf(section: Element): void {
  const known = Object.hasOwn(TAGS, section.tag) ? TAGS[section.tag] : null;
  const check = (parent: Element): void => {
    for (const e of parent.children) {
      if (known && !known.includes(e.tag))
        throw new FormatError(whereIs(e), `elements ${known.join(", ")} in <${section.tag}>`, `<${e.tag}>`);
      for (const [name, value] of e.attributes) if (!TEXTS.includes(name)) checkNumbers(e, name, value);
      checkFile(e);
      check(e);
    }
  };
  check(section);
}

function checkNumbers(e: Element, name: string, value: string): void {
  const who = `${whereIs(e)} ${name}`;
  if (value === "") throw new FormatError(who, "a value", "none");
  if (!BEGINS_LIKE_A_NUMBER.test(value)) return;
  const words = value.split(" ");
  const wrong = words.find((word) => !NUMBER.test(word) || Math.abs(Number(word)) > MOST_NUMBER);
  if (wrong !== undefined)
    throw new FormatError(who, `numbers from -${MOST_NUMBER} to ${MOST_NUMBER}`, `"${wrong}"`);
  if ((name === "quat" || name === "axis") && words.every((word) => Number(word) === 0))
    throw new FormatError(who, "a direction", `"${value}"`);
}

function checkFile(e: Element): void {
  const where = whereIs(e);
  // A cube's six files by name would keep paths that lead nowhere in the composed model.
  const other = [...e.attributes.keys()].find((name) => name.startsWith("file") && name !== "file");
  if (other !== undefined) throw new FormatError(where, "one attribute file", other);
  const file = e.attributes.get("file");
  if (file !== undefined) {
    const endings = Object.hasOwn(ENDINGS, e.tag) ? ENDINGS[e.tag] : [];
    if (!endings.includes(extname(file).toLowerCase()))
      throw new FormatError(`${where} file`, `a name that ends in ${endings.join(", ") || "nothing"}`, file);
  }
  if (e.tag === "texture") {
    const [width, height] = ["width", "height"].map((side) => Number(e.attributes.get(side) ?? 0));
    if (width * height > MOST_PIXELS)
      throw new FormatError(where, `at most ${MOST_PIXELS} pixels`, `${width} × ${height}`);
  }
}
