/**
 * What the queue of vla/fleet.ts costs per episode: many workers take episodes that are played in no time, so that
 * nothing but Redis and BullMQ is left. `npx tsx benchmarks/fleet.ts --help`.
 */
import { availableParallelism, loadavg } from "node:os";
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { renderTable } from "../vla/eval/table.ts";
import { redisUrl } from "../vla/fleet/options.ts";
import { simulateRun } from "./simulated-fleet.ts";

const schema = {
  usage: "npx tsx benchmarks/fleet.ts [options]",
  description:
    "Time per episode that the queue of vla/fleet.ts takes, for runs of different sizes: wall-clock, and of this process's cores.\n" +
    "REDIS_URL says where Redis is; its keys nina*:simulated-* are written and removed.",
  options: {
    workers: { type: "integer", least: 1, default: 100, help: "that take episodes at the same time" },
    json: { type: "boolean", help: "one JSON object per line" },
  },
} as const satisfies CliSchema;

/** Episodes of each run. */
const SIZES = [1000, 3000, 10_000];

await runMain(async () => {
  const { workers, json } = parseCli(schema, process.argv.slice(2));
  const rows: string[][] = [];
  for (const episodes of SIZES) {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const { played } = await simulateRun(
      redisUrl(process.env),
      `simulated-${process.pid}`,
      episodes,
      workers,
    );
    const { user, system } = process.cpuUsage(cpu);
    const found = {
      episodes,
      workers,
      played: played.size,
      wallMs: (performance.now() - start) / episodes,
      cpuMs: (user + system) / 1000 / episodes,
    };
    if (json) console.log(JSON.stringify(found));
    rows.push([String(episodes), String(workers), found.wallMs.toFixed(2), found.cpuMs.toFixed(2)]);
  }
  if (json) return;
  const columns = ["episodes", "workers", "ms/episode", "core ms/episode"];
  console.log(
    renderTable(
      columns.map((title) => ({ title, align: "right" }) as const),
      rows,
    ),
  );
  console.log(`\n${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}`);
});
