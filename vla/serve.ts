/** Serves a checkpoint to clients of openpi: `npx tsx vla/serve.ts --help`. */
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { DEVICE_NAMES, WEIGHT_BYTES, type WeightFormat } from "../core/index.ts";
import { INTERRUPTED } from "./eval/interrupt.ts";
import { EMBEDDED } from "./eval/options.ts";
import { OPENPI } from "./libero/protocols.ts";
import { SEED_KEY } from "./openpi/adapter.ts";
import type { WireValue } from "./openpi/msgpack.ts";
import type { PolicySource } from "./policies/index.ts";
import { type Served, serve } from "./serve/server.ts";
import { threadedPolicy } from "./serve/thread.ts";

const schema = {
  usage: "npx tsx vla/serve.ts [options]",
  description:
    "Serves a checkpoint as openpi's server does: observations of LIBERO in, chunks of actions out, over a websocket.\n" +
    "GET /healthz says OK. Runs until Ctrl-C. There is no password: whoever can reach the port can ask.",
  options: {
    checkpoint: { type: "string", help: "a checkpoint folder; otherwise the embedded one" },
    host: { type: "string", default: "127.0.0.1", help: "where to listen; 0.0.0.0 for other machines" },
    port: { type: "integer", least: 0, default: 8000, help: "0 takes any that is free" },
    clients: { type: "integer", least: 1, default: 64, help: "at once; more are told 503" },
    idle: {
      type: "integer",
      least: 1,
      default: 600,
      help: "seconds without a request after which a client is sent away",
    },
    device: { type: "string", default: "cpu", choices: DEVICE_NAMES, help: "what computes" },
    weights: {
      type: "string",
      default: "float32",
      choices: Object.keys(WEIGHT_BYTES) as WeightFormat[],
      help: "what the encoder's weights are kept as",
    },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const {
    checkpoint = EMBEDDED.checkpoint,
    device,
    weights,
    host,
    port,
    clients,
    idle,
  } = parseCli(schema, process.argv.slice(2));
  if (port > 65_535) throw new UsageError(`--port: expected at most 65535, got ${port}`);
  if (idle > 86_400) throw new UsageError(`--idle: expected at most 86400 seconds, a day, got ${idle}`);
  // Inference would hold up the answers to health checks and pings.
  await using policies = await threadedPolicy({ checkpoint, sampling: {}, device, weights });
  await using server = await serve(servedFrom(policies), {
    host,
    port,
    mostClients: clients,
    idleSeconds: idle,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  console.log(`${policies.name}${policies.untrained ? " (untrained)" : ""} at ${server.url}`);
  await new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, resolve);
  });
  process.exitCode = INTERRUPTED;
});

function servedFrom(policies: PolicySource): Served {
  const { name, digest, untrained, cameraSize, sampling } = policies;
  const metadata = new Map<string, WireValue>([
    ["policy", name],
    ["digest", digest ?? null],
    ["untrained", untrained],
    ["camera_size", cameraSize],
    ["actions_per_query", sampling?.actionsPerQuery ?? null],
    ["seed_key", SEED_KEY],
  ]);
  return {
    metadata,
    policyFor(client, instruction) {
      // Of the episode of a client nothing is known but its words.
      const unknown = { suite: "served", task: "served", told: "served", seed: 0, mujoco: "unknown" };
      return policies.forEpisode({
        ...unknown,
        instruction,
        init: client,
        protocol: OPENPI,
        contacts: "native",
      });
    },
  };
}
