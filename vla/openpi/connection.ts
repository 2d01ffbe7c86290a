import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { printable } from "../../core/index.ts";
import { asMap } from "./adapter.ts";
import { decode, encode, type WireMap, type WireValue } from "./msgpack.ts";

/** How long a server is waited for. */
export interface Patience {
  /** Until the next try while a connection is refused, as by a server that still loads its model; and tries in all. */
  readonly retryMs: number;
  readonly tries: number;
  /** For the metadata, once connected. */
  readonly metadataMs: number;
  /** For an answer: the first may be compiled for. */
  readonly answerMs: number;
}

/** openpi's own client tries every 5 s for ever. */
export const PATIENCE: Patience = { retryMs: 5000, tries: 120, metadataMs: 30_000, answerMs: 300_000 };

/** openpi's servers send a few kilobytes. */
const MOST_BYTES = 64 * 2 ** 20;
const HEALTH_MS = 5000;

/** A connection to one of openpi's policy servers: an answer for each message, in order. Errors name its address. */
export class Connection implements Disposable {
  readonly #url: string;
  readonly #socket: WebSocket;
  readonly #patience: Patience;
  /** Who waits for the next frame. */
  #waiting: { resolve(frame: Uint8Array): void; reject(error: Error): void } | null = null;
  /** Why there will be no more frames. */
  #failure: Error | null = null;

  private constructor(url: string, patience: Patience) {
    this.#url = url;
    this.#patience = patience;
    this.#socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: MOST_BYTES,
      handshakeTimeout: patience.metadataMs,
    });
    this.#socket.on("message", (data, isBinary) => {
      if (!isBinary) return this.#fail(`the server failed: ${printable(String(data), 1000)}`);
      const waiting = this.#waiting;
      if (waiting === null) return this.#fail("expected an answer for each question, found one more");
      this.#waiting = null;
      waiting.resolve(data as Buffer);
    });
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#fail(error.message, error));
    this.#socket.on("close", (code, reason) => {
      const why = reason.length > 0 ? `, ${JSON.stringify(printable(String(reason), 200))}` : "";
      this.#fail(`the server ended the connection (code ${code}${why})`);
    });
  }

  /**
   * Connects, and reads the metadata that the server begins with.
   *
   * @param waiting told once when the first try was refused and others follow.
   */
  static async open(
    url: string,
    patience: Patience,
    waiting: () => void = () => {},
  ): Promise<{ connection: Connection; metadata: WireMap }> {
    for (let tried = 1; ; tried++) {
      const connection = new Connection(url, patience);
      try {
        const metadata = await connection.#read(patience.metadataMs, "metadata");
        return { connection, metadata: asMap(metadata, `${url}: metadata`) };
      } catch (error) {
        connection[Symbol.dispose]();
        const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
        if (code !== "ECONNREFUSED" || tried === patience.tries) throw error;
        if (tried === 1) waiting();
        await sleep(patience.retryMs);
      }
    }
  }

  /** Whether a question can be asked. */
  get isFree(): boolean {
    return this.#failure === null && this.#waiting === null;
  }

  /** What the server answers. One question at a time. */
  async ask(message: WireMap): Promise<WireValue> {
    const answer = this.#read(this.#patience.answerMs, "an answer");
    this.#socket.send(encode(message), () => {}); // what goes wrong is told by "error" and "close"
    return answer;
  }

  [Symbol.dispose](): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close();
    this.#fail("this connection was given up"); // nor is the server's goodbye waited for
  }

  async #read(ms: number, what: string): Promise<WireValue> {
    if (this.#failure) throw this.#failure;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(async () => {
        const health = await healthOf(this.#url);
        reject(this.#fail(`expected ${what} within ${ms / 1000} s, found none; GET /healthz: ${health}`));
      }, ms);
    });
    const frame = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    try {
      return decode(await Promise.race([frame, late]), this.#url);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The first failure is the one that explains the others. */
  #fail(why: string, cause?: Error): Error {
    this.#failure ??= new Error(`${this.#url}: ${why}`, { cause });
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
    this.#socket.terminate();
    return this.#failure;
  }
}

/** What a server says of itself, in a few words: whether it is stuck or gone. */
async function healthOf(url: string): Promise<string> {
  const health = new URL("/healthz", url.replace(/^ws/, "http"));
  try {
    const { status } = await fetch(health, { signal: AbortSignal.timeout(HEALTH_MS) });
    return `status ${status}`;
  } catch {
    return "no answer";
  }
}
