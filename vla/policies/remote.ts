import { UsageError } from "../../cli/index.ts";
import { PROTOCOLS } from "../libero/protocols.ts";
import type { Observation } from "../observation.ts";
import { OPENPI_SIZE, observationMap, readChunk, SEED_KEY, type Shown } from "../openpi/adapter.ts";
import { type Connection, PATIENCE } from "../openpi/connection.ts";
import type { WireMap } from "../openpi/msgpack.ts";
import { Pool } from "../openpi/pool.ts";
import type { ActionChunk, Policy } from "./policy.ts";
import type { PolicySource } from "./source.ts";

/**
 * The policy behind `ws://host:port`, which speaks openpi's protocol: openpi's own, or `vla/serve.ts`. A server may say
 * in its metadata, and ours does, what pictures it would rather have (`camera_size`) and where it reads the seed of an
 * episode (`seed_key`); others are sent what openpi's client sends.
 *
 * @param patience how long the server is waited for
 */
export async function remotePolicy(url: string, patience = PATIENCE): Promise<PolicySource & Disposable> {
  checkAddress(url);
  const pool = await Pool.open(url, patience, () => {
    if (process.stderr.isTTY)
      process.stderr.write(`${url}: nobody there yet, trying every ${patience.retryMs / 1000} s\n`);
  });
  const { named, digest, untrained, cameraSize, readsSeeds } = readMetadata(pool.metadata);
  const name = named === null ? url : `${url} ${named}`;
  return {
    name,
    ...(digest !== null && { digest }),
    untrained,
    cameraSize,
    hasDensity: false,
    forEpisode({ protocol }) {
      const { turn } = PROTOCOLS[protocol.name];
      return new RemotePolicy(name, pool, { turn, size: cameraSize ?? OPENPI_SIZE }, readsSeeds);
    },
    [Symbol.dispose]: () => pool[Symbol.dispose](),
  };
}

/**
 * One episode. It has a connection of its own from its first question on: a server may keep its noise by connection.
 */
class RemotePolicy implements Policy, Disposable {
  readonly name: string;
  readonly #pool: Pool;
  readonly #shown: Shown;
  readonly #readsSeeds: boolean;
  #connection: Connection | null = null;
  /** To be sent with the first question. */
  #seed: number | null = null;

  constructor(name: string, pool: Pool, shown: Shown, readsSeeds: boolean) {
    this.name = name;
    this.#pool = pool;
    this.#shown = shown;
    this.#readsSeeds = readsSeeds;
  }

  reset(seed: number): void {
    this.#seed = this.#readsSeeds ? seed : null;
  }

  async act(seen: Observation, instruction: string): Promise<ActionChunk> {
    this.#connection ??= await this.#pool.take();
    const message = observationMap(seen, instruction, this.#shown);
    if (this.#seed !== null) message.set(SEED_KEY, this.#seed);
    this.#seed = null;
    return readChunk(await this.#connection.ask(message), this.name);
  }

  [Symbol.dispose](): void {
    if (this.#connection) this.#pool.giveBack(this.#connection);
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
  const text = (key: string): string | null => {
    const value = metadata.get(key);
    return typeof value === "string" ? value : null;
  };
  const size = metadata.get("camera_size");
  const isSize = Number.isInteger(size) && (size as number) >= 1 && (size as number) <= 4096;
  return {
    named: text("policy"),
    digest: text("digest"),
    untrained: metadata.get("untrained") === true,
    cameraSize: isSize ? (size as number) : null,
    readsSeeds: text("seed_key") === SEED_KEY,
  };
}
