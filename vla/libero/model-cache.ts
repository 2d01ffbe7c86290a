import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { type MainModule, type MjModel, MUJOCO_VERSION } from "./mujoco.ts";
import type { Scene } from "./scene.ts";

/** What the compiler reads: the MJCF and its files. */
export type ModelSource = Pick<Scene, "mjcf" | "assets">;

/** Where compiled models are kept between processes: `$XDG_CACHE_HOME` or `~/.cache`, then `nina-ts`. */
export function defaultCacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "nina-ts");
}

/**
 * The compiled model of an MJCF, from the cache folder when it is there. Delete it after use.
 *
 * Compiling a LIBERO scene takes seconds, reading its binary back a fraction of one; a binary has 90 to 160 MB
 * (textures are stored raw). The key covers MuJoCo's version, the MJCF and every byte of every asset, so a cached
 * model is never stale. A damaged file is reported on stderr and rebuilt.
 *
 * @param folder cache folder; null compiles every time.
 * @throws Error with MuJoCo's message when the MJCF does not compile, or when an asset cannot be read.
 */
export async function compileModel(
  mj: MainModule,
  source: ModelSource,
  folder: string | null = defaultCacheFolder(),
): Promise<MjModel> {
  const assets = new Map<string, Uint8Array>();
  for (const [name, path] of source.assets) assets.set(name, await readFile(path));
  if (folder === null) return compile(mj, source.mjcf, assets);

  const path = join(folder, `${modelKey(source.mjcf, assets)}.mjb`);
  const cached = await readCached(mj, path);
  if (cached) return cached;
  const model = compile(mj, source.mjcf, assets);
  await writeCached(mj, model, path);
  return model;
}

function modelKey(mjcf: string, assets: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash("sha256").update(`MuJoCo ${MUJOCO_VERSION}\n${mjcf.length}\n`).update(mjcf);
  for (const name of [...assets.keys()].sort())
    hash.update(`\n${name}\n${assets.get(name)!.length}\n`).update(assets.get(name)!);
  return hash.digest("hex").slice(0, 32);
}

/**
 * Numbers files and folders, so that no two meet. Scenes need folders of their own: MuJoCo remembers decoded assets
 * by path, and two scenes may disagree on one.
 */
let serial = 0;

function compile(mj: MainModule, mjcf: string, assets: ReadonlyMap<string, Uint8Array>): MjModel {
  const root = `/scene-${serial++}`;
  mj.FS.mkdir(root);
  const files: string[] = [];
  try {
    for (const [name, bytes] of [...assets, ["scene.xml", new TextEncoder().encode(mjcf)] as const]) {
      const path = `${root}/${name}`;
      makeFolders(mj, dirname(path));
      mj.FS.writeFile(path, bytes);
      files.push(path);
    }
    return mj.MjModel.from_xml_path(`${root}/scene.xml`);
  } finally {
    for (const file of files) mj.FS.unlink(file);
  }
}

function makeFolders(mj: MainModule, path: string): void {
  if (mj.FS.analyzePath(path, false).exists) return;
  makeFolders(mj, dirname(path));
  mj.FS.mkdir(path);
}

/** A cache file is the model's binary after this line and the CRC-32 of the binary, 4 bytes little-endian. */
const MAGIC = Buffer.from("nina-ts compiled model 1\n");
const HEADER = MAGIC.length + 4;

async function readCached(mj: MainModule, path: string): Promise<MjModel | null> {
  const file = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (!file) return null;
  const binary = file.subarray(HEADER);
  if (
    file.length < HEADER ||
    !file.subarray(0, MAGIC.length).equals(MAGIC) ||
    file.readUInt32LE(MAGIC.length) !== crc32(binary)
  ) {
    console.error(`compileModel: ${path} is damaged; building it again`);
    await rm(path);
    return null;
  }
  const inside = `/cached-${serial++}.mjb`;
  const vfs = new mj.MjVFS();
  try {
    mj.FS.writeFile(inside, binary);
    return mj.MjModel.from_binary_path(inside, vfs);
  } finally {
    mj.FS.unlink(inside);
    vfs.delete();
  }
}

async function writeCached(mj: MainModule, model: MjModel, path: string): Promise<void> {
  const inside = `/saved-${serial++}.mjb`;
  mj.mj_saveModel(model, inside, null);
  const binary: Uint8Array = mj.FS.readFile(inside);
  mj.FS.unlink(inside);
  const header = Buffer.alloc(HEADER);
  MAGIC.copy(header);
  header.writeUInt32LE(crc32(binary), MAGIC.length);

  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}-${serial++}.tmp`;
  try {
    await writeFile(temporary, header);
    await writeFile(temporary, binary, { flag: "a" });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
