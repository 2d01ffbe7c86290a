import { putFile } from "../../vla/platform/browser.ts";

/** Where the embedded suite's files lie in the tab. */
export const ROOTS = {
  libero: "/suites/mini/LIBERO",
  robosuite: "/suites/mini/robosuite",
  checkpoint: "/suites/mini/checkpoint",
} as const;

/** Their addresses, which the bundler finds out. */
const ADDRESSES = import.meta.glob<string>(
  ["../../vla/suites/mini/{LIBERO,robosuite}/**/*.*", "../../vla/suites/mini/checkpoint/*.*"],
  { query: "?url", import: "default", eager: true },
);

/** Fetches all of them, so that they can be read by their paths at once. @throws Error for one that does not come. */
export async function fetchSuite(): Promise<void> {
  await Promise.all(
    Object.entries(ADDRESSES).map(async ([name, address]) => {
      const path = name.replace(/^.*\/suites\//, "/suites/");
      const answer = await fetch(new URL(address, import.meta.url));
      if (!answer.ok)
        throw new Error(`${path}: expected a file, found ${answer.status} ${answer.statusText}`);
      putFile(path, new Uint8Array(await answer.arrayBuffer()));
    }),
  );
}
