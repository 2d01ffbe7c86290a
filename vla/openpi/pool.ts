import { Connection, type Patience } from "./connection.ts";
import type { WireMap } from "./msgpack.ts";

/** Connections to one server, for as many conversations at once as are asked for. */
export class Pool implements Disposable {
  /** What the server said of itself at first. */
  readonly metadata: WireMap;
  readonly #url: string;
  readonly #patience: Patience;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];

  private constructor(url: string, patience: Patience, first: Connection, metadata: WireMap) {
    this.metadata = metadata;
    this.#url = url;
    this.#patience = patience;
    this.#all.add(first);
    this.#idle.push(first);
  }

  /** @param waiting see `Connection.open` */
  static async open(url: string, patience: Patience, waiting: () => void): Promise<Pool> {
    const { connection, metadata } = await Connection.open(url, patience, waiting);
    return new Pool(url, patience, connection, metadata);
  }

  /** A connection for one alone, until it is given back. */
  async take(): Promise<Connection> {
    for (let next = this.#idle.pop(); next; next = this.#idle.pop()) {
      if (next.isFree) return next;
      this.#all.delete(next);
    }
    const { connection } = await Connection.open(this.#url, this.#patience);
    this.#all.add(connection);
    return connection;
  }

  giveBack(connection: Connection): void {
    if (connection.isFree) this.#idle.push(connection);
    else {
      // An answer that is still to come would be taken for that to the next question.
      connection[Symbol.dispose]();
      this.#all.delete(connection);
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#all) connection[Symbol.dispose]();
  }
}
