/** A browser's form of what platform.ts describes: its files are those that the page has fetched and put here. */
import { type ByteSource, bytesSource, FormatError } from "../../core/index.ts";
import { resolve } from "./paths.ts";
import type { Digest } from "./platform.ts";
import { Sha256 } from "./sha256.ts";

export { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "./paths.ts";

/** By absolute path. */
const files = new Map<string, Uint8Array>();
/** Names in each folder. */
const folders = new Map<string, Set<string>>([["/", new Set()]]);

/** Puts a file where `readText` and the others find it; folders come with it. */
export function putFile(path: string, bytes: Uint8Array): void {
  const whole = resolve(path);
  files.set(whole, bytes);
  const steps = whole.split("/");
  for (let i = 1; i < steps.length; i++) {
    const folder = steps.slice(0, i).join("/") || "/";
    const names = folders.get(folder) ?? new Set();
    folders.set(folder, names.add(steps[i]));
  }
}

export function openFile(path: string): ByteSource {
  const bytes = files.get(resolve(path));
  if (bytes) return bytesSource(path, bytes);
  throw new FormatError(path, "a file that the page has fetched", isFolder(path) ? "a folder" : "none");
}

export function readWhole(path: string, most: number): Uint8Array<ArrayBuffer> {
  const file = openFile(path);
  if (file.size > most) throw new FormatError(path, `at most ${most} bytes`, `${file.size}`);
  return file.read(0, file.size);
}

export const readText = (path: string, most: number): string =>
  new TextDecoder().decode(readWhole(path, most));

export const exists = (path: string): boolean => files.has(resolve(path)) || isFolder(path);

export const isFolder = (path: string): boolean => folders.has(resolve(path));

/** Pages keep nothing that a stamp would be asked for. */
export const stampOfFile = (): string | null => null;

export function listFolder(path: string): string[] {
  const names = folders.get(resolve(path));
  if (!names) throw new FormatError(path, "a folder", "none");
  return [...names];
}

export const sha256 = (): Digest => new Sha256();

/** A message to oneself comes behind all that waits, and at once, while timers of pages that nobody sees come late. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

export const describeThrown = (thrown: unknown): string => String(thrown);

/** Browsers do so by themselves. */
export function allowInlining(): void {}
