import { type Cache, printable } from "../../core/index.ts";
import { dirname, readWhole, sha256, stampOfFile } from "../platform/node.ts";
import { compileError } from "./compile-error.ts";
import { type MainModule, type MjData, type MjModel, MUJOCO_VERSION } from "./mujoco.ts";
import type { Scene } from "./scene.ts";

/** What the compiler reads: the MJCF and its files. */
export type ModelSource = Pick<Scene, "mjcf" | "assets"> & Partial<Pick<Scene, "places">>;

/** Largest asset that is read, bytes: LIBERO's largest mesh has 30 MB. */
const MOST_ASSET_BYTES = 2 ** 28;

/** A compiled model and a state of it. */
export class Compiled implements Disposable {
  readonly model: MjModel;
  readonly data: MjData;

  constructor(mj: MainModule, model: MjModel) {
    this.model = model;
    this.data = new mj.MjData(model);
  }

  [Symbol.dispose](): void {
    this.data.delete();
    this.model.delete();
  }
}

/**
 * The compiled model of an MJCF, from the cache when it is there, with a new state.
 *
 * Compiling a LIBERO scene takes seconds, reading its binary back a fraction of one; a binary has 90 to 160 MB
 * (textures are stored raw). The key covers MuJoCo's version, the MJCF and every byte of every asset, so a cached
 * model is never stale; where no asset's file has changed since they were last read, the key of that time is taken.
 * A model that MuJoCo does not take is compiled again.
 *
 * @throws FormatError with MuJoCo's message when the MJCF does not compile, or when an asset cannot be read.
 */
export function compileModel(mj: MainModule, source: ModelSource, cache: Cache): Compiled {
  const stamp = cache.folder === null ? null : stampOf(source);
  const known = stamp === null ? null : cache.read(stamp);
  if (known) {
    const cached = loadCached(mj, cache, new TextDecoder().decode(known));
    if (cached) return cached;
  }
  const assets = new Map<string, Uint8Array>();
  for (const [name, path] of source.assets) assets.set(name, readWhole(path, MOST_ASSET_BYTES));

  const key = modelKey(source.mjcf, assets);
  if (stamp !== null) cache.write(stamp, new TextEncoder().encode(key));
  const cached = loadCached(mj, cache, key);
  if (cached) return cached;
  const model = compile(mj, source, assets);
  if (cache.folder !== null) cache.write(key, binaryOf(mj, model));
  return new Compiled(mj, model);
}

function modelKey(mjcf: string, assets: ReadonlyMap<string, Uint8Array>): string {
  const hash = sha256().update(`MuJoCo ${MUJOCO_VERSION}\n${mjcf.length}\n`).update(mjcf);
  for (const name of [...assets.keys()].sort())
    hash.update(`\n${name}\n${assets.get(name)!.length}\n`).update(assets.get(name)!);
  return `model: MuJoCo ${MUJOCO_VERSION}, ${hash.hex()}`;
}

/**
 * A key under which the model's key is kept: it changes with the MJCF and whenever the file of an asset does. Null
 * where that cannot be told, and for a model without files, whose key takes no time to make.
 */
function stampOf({ mjcf, assets }: ModelSource): string | null {
  if (assets.size === 0) return null;
  const hash = sha256().update(`${mjcf.length}\n`).update(mjcf);
  for (const name of [...assets.keys()].sort()) {
    const stamp = stampOfFile(assets.get(name)!);
    if (stamp === null) return null;
    hash.update(`\n${name} ${stamp}`);
  }
  return `key of a model: MuJoCo ${MUJOCO_VERSION}, ${hash.hex()}`;
}

/**
 * Numbers files and folders, so that no two meet. Scenes need folders of their own: MuJoCo remembers decoded assets
 * by path, and two scenes may disagree on one.
 */
let serial = 0;

function compile(mj: MainModule, source: ModelSource, assets: ReadonlyMap<string, Uint8Array>): MjModel {
  const root = `/scene-${serial++}`;
  mj.FS.mkdir(root);
  const files: string[] = [];
  try {
    for (const [name, bytes] of [...assets, ["scene.xml", new TextEncoder().encode(source.mjcf)] as const]) {
      const path = `${root}/${name}`;
      makeFolders(mj, dirname(path));
      mj.FS.writeFile(path, bytes);
      files.push(path);
    }
    const model: MjModel | null = mj.MjModel.from_xml_path(`${root}/scene.xml`);
    if (model === null) throw new Error("no model and no message, as after it ran out of memory");
    return model;
  } catch (error) {
    throw compileError(error, source.places);
  } finally {
    for (const file of files) mj.FS.unlink(file);
  }
}

function makeFolders(mj: MainModule, path: string): void {
  if (mj.FS.analyzePath(path, false).exists) return;
  makeFolders(mj, dirname(path));
  mj.FS.mkdir(path);
}

function loadCached(mj: MainModule, cache: Cache, key: string): Compiled | null {
  const binary = cache.read(key);
  if (!binary) return null;
  const inside = `/cached-${serial++}.mjb`;
  const vfs = new mj.MjVFS();
  try {
    mj.FS.writeFile(inside, binary, { canOwn: true });
    const model: MjModel = mj.MjModel.from_binary_path(inside, vfs);
    // MuJoCo's copy of the file leaves a hole in the heap. A state in it would make the next model's file grow the heap
    // by as much again, so it is filled until the state lies elsewhere.
    const hole = new mj.DoubleBuffer(binary.length >> 3);
    const compiled = new Compiled(mj, model);
    hole.delete();
    return compiled;
  } catch (error) {
    console.error(
      `compileModel: a cached model does not load (${printable(String(error))}); compiling it again`,
    );
    cache.drop(key);
    return null;
  } finally {
    mj.FS.unlink(inside);
    vfs.delete();
  }
}

function binaryOf(mj: MainModule, model: MjModel): Uint8Array {
  const inside = `/saved-${serial++}.mjb`;
  mj.mj_saveModel(model, inside, null);
  const binary: Uint8Array = mj.FS.readFile(inside);
  mj.FS.unlink(inside);
  return binary;
}
