/** Shows what is kept between runs, and removes it: `npx tsx vla/cache.ts --help`. */
import { basename } from "node:path";
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { Cache } from "../core/index.ts";

const schema = {
  usage: "npx tsx vla/cache.ts [--clear]",
  description:
    "Lists the cache folder, $XDG_CACHE_HOME/nina-ts or ~/.cache/nina-ts: compiled scenes, surfaces of their meshes,\n" +
    "labels of demonstrations, the choice of tile for matrix products. All of it is made again when it is missing.",
  options: {
    clear: { type: "boolean", help: "remove everything in it" },
    json: {
      type: "boolean",
      help: "print { folder, entries: [{ path, bytes, used }] }; used in ms since 1970",
    },
  },
} as const satisfies CliSchema;

await runMain(() => {
  const args = parseCli(schema, process.argv.slice(2));
  const cache = new Cache();
  if (cache.folder === null)
    throw new Error("cache: expected a home folder or XDG_CACHE_HOME, found neither");
  if (args.clear) cache.clear();
  const { folder } = cache;
  const entries = cache.entries();
  if (args.json) return console.log(JSON.stringify({ folder, entries }));
  for (const { path, bytes, used } of entries) {
    console.log(`${megabytes(bytes)}  ${new Date(used).toISOString().slice(0, 16)}  ${basename(path)}`);
  }
  console.log(`${megabytes(entries.reduce((sum, entry) => sum + entry.bytes, 0))}  in ${folder}`);
});

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1).padStart(8)} MB`;
}
