import { UsageError } from "../../cli/index.ts";
import { PROTOCOLS } from "../libero/protocols.ts";
import type { Observation } from "../observation.ts";
import { OPENPI_SIZE, observationMap, readPlan, SEED_KEY, type Turn } from "../openpi/adapter.ts";
import { Connection, PATIENCE } from "../openpi/connection.ts";
import type { WireMap } from "../openpi/msgpack.ts";
import type { Plan, Policy } from "../policy.ts";
import type { PolicySource } from "./source.ts";

/**
 * The policy behind `ws://host:port`, which speaks openpi's protocol: openpi's own, or `vla/serve.ts`. A server may say in its
 * metadata, and ours does, what pictures it would rather have (`camera_size`) and where it reads the seed of an episode
 * (`seed_key`); others are sent what openpi's client sends.
 *
 * @param patience how long the server is waited for
 */
export async function remotePolicy(url: string, patience = PATIENCE): Promise<PolicySource & Disposable> {
  checkAddress(url);
  const { connection, metadata } = await Connection.open(url, patience, () => {
    if (process.stderr.isTTY)
      process.stderr.write(`${url}: nobody there yet, trying every ${patience.retryMs / 1000} s\n`);
  });
  const free = [connection];
  const connections = new Set(free);
  const open = async (): Promise<Connection> => {
    for (let next = free.pop(); next; next = free.pop()) {
      if (next.isFree) return next;
      connections.delete(next);
    }
    const opened = (await Connection.open(url, patience)).connection;
    connections.add(opened);
    return opened;
  };
  const { cameraSize, named, untrained } = readMetadata(metadata);
  const readsSeeds = metadata.get("seed_key") === SEED_KEY;
  const name = named === null ? url : `${url} ${named}`;
  return {
    name,
    untrained,
    cameraSize,
    hasDensity: false,
    forEpisode({ protocol }) {
      const { turn } = PROTOCOLS[protocol.name];
      const shown = { turn, size: cameraSize ?? OPENPI_SIZE };
      return new RemotePolicy(name, shown, readsSeeds, open, (connection) => {
        // An answer that is still to come would be taken for that of the next episode.
        if (connection.isFree) free.push(connection);
        else connection[Symbol.dispose]();
      });
    },
    [Symbol.dispose]() {
      for (const connection of connections) connection[Symbol.dispose]();
    },
  };
}

/** One episode. It has a connection of its own from its first question on: a server may keep its noise by connection. */
class RemotePolicy implements Policy, Disposable {
  readonly name: string;
  readonly #shown: { readonly turn: Turn; readonly size: number };
  readonly #readsSeeds: boolean;
  readonly #open: () => Promise<Connection>;
  readonly #giveBack: (connection: Connection) => void;
  #connection: Connection | null = null;
  /** To be sent with the first question. */
  #seed: number | null = null;

  constructor(
    name: string,
    shown: { readonly turn: Turn; readonly size: number },
    readsSeeds: boolean,
    open: () => Promise<Connection>,
    giveBack: (connection: Connection) => void,
  ) {
    this.name = name;
    this.#shown = shown;
    this.#readsSeeds = readsSeeds;
    this.#open = open;
    this.#giveBack = giveBack;
  }

  reset(seed: number): void {
    this.#seed = this.#readsSeeds ? seed : null;
  }

  async act(seen: Observation, instruction: string): Promise<Plan> {
    this.#connection ??= await this.#open();
    const message = observationMap(seen, instruction, this.#shown);
    if (this.#seed !== null) message.set(SEED_KEY, this.#seed);
    this.#seed = null;
    return readPlan(await this.#connection.ask(message), this.name);
  }

  [Symbol.dispose](): void {
    if (this.#connection) this.#giveBack(this.#connection);
    this.#connection = null;
  }
}

function checkAddress(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !["ws:", "wss:"].includes(parsed.protocol) || parsed.hash !== "")
    throw new UsageError(`--policy: expected ws://host:port, got ${JSON.stringify(url)}`);
}

/** What a server says of itself. Metadata are free-form: what has another meaning elsewhere is not taken for ours. */
function readMetadata(metadata: WireMap) {
  const [named, size] = [metadata.get("policy"), metadata.get("camera_size")];
  const isSize = Number.isInteger(size) && (size as number) >= 1 && (size as number) <= 4096;
  return {
    named: typeof named === "string" ? named : null,
    cameraSize: isSize ? (size as number) : null,
    untrained: metadata.get("untrained") === true,
  };
}
