/** What `node:path` does with paths of POSIX systems that end in no stroke, where there is no Node. */

export const sep = "/";

export const isAbsolute = (path: string): boolean => path.startsWith("/");

/** Without empty steps, "." and, where something stands before it, "..". */
function normalised(path: string): string {
  const rooted = isAbsolute(path);
  const steps: string[] = [];
  for (const step of path.split("/")) {
    if (step === "" || step === ".") continue;
    if (step !== ".." || (!rooted && (steps.at(-1) ?? "..") === "..")) steps.push(step);
    else steps.pop();
  }
  return rooted ? `/${steps.join("/")}` : steps.join("/") || ".";
}

export const join = (...parts: string[]): string => normalised(parts.filter((part) => part !== "").join("/"));

/** There is no working folder: what is not absolute begins at the root. */
export const resolve = (...parts: string[]): string =>
  normalised(`/${parts.reduce((path, part) => (isAbsolute(part) ? part : `${path}/${part}`), "")}`);

/** Both are taken from the root. */
export function relative(from: string, to: string): string {
  const [a, b] = [from, to].map((path) => resolve(path).split("/").filter(Boolean));
  const first = a.findIndex((step, i) => step !== b[i]);
  const shared = first === -1 ? a.length : first;
  return [...a.slice(shared).map(() => ".."), ...b.slice(shared)].join("/");
}

export function dirname(path: string): string {
  const at = path.lastIndexOf("/");
  if (at === -1) return ".";
  return path.slice(0, at) || "/";
}

export const basename = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

export function extname(path: string): string {
  const name = basename(path);
  const at = name.lastIndexOf(".");
  return at > 0 ? name.slice(at) : "";
}
