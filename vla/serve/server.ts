import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { FormatError, printable } from "../../core/index.ts";
import { actionsArray, readRequest } from "../openpi/adapter.ts";
import { decode, encode, type WireMap, type WireValue } from "../openpi/msgpack.ts";
import type { Policy } from "../policies/policy.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Clients at once; more are told 503. */
  readonly mostClients: number;
  /** How long a client may take for a request, from the last answer on, before it is sent away. */
  readonly idleSeconds: number;
  /** Told what went wrong, one line each. */
  log(line: string): void;
}

/** What is served: a policy for each client, and what clients are told of it. */
export interface Served {
  readonly metadata: WireMap;
  /** The policy of a client, made when its first request tells the words. `client` counts them from 0. */
  policyFor(client: number, instruction: string): Policy;
}

/** A request of openpi's client for LIBERO has 0.3 MB. */
const MOST_BYTES = 8 * 2 ** 20;
/** What may wait for a client that does not read: beyond that its pings are not answered, it is sent away. */
const MOST_UNREAD = 64 * 2 ** 10;
/** Until a client that was told to leave is cut off. */
const GOODBYE_MS = 2000;
/** Connections beyond those of clients: health checks, and clients that are told that there is no room. */
const SPARE_CONNECTIONS = 64;

/**
 * Serves a policy as openpi's server does: on a websocket, metadata first, then an answer for each observation, in
 * order. What goes wrong is told in a text frame, and closes with code 1011. `GET /healthz` is answered with OK.
 *
 * Whatever clients do, memory is bounded: of each there is one message at most that is not yet answered, one answer
 * that is not yet read, and what the kernel holds. Its next message is read when its last answer has left.
 */
export async function serve(served: Served, options: ServerOptions): Promise<PolicyServer> {
  const server = new PolicyServer(served, options);
  await server.listen();
  return server;
}

export class PolicyServer implements AsyncDisposable {
  readonly #served: Served;
  readonly #options: ServerOptions;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MOST_BYTES,
    autoPong: false,
  });
  #clients = 0;

  constructor(served: Served, options: ServerOptions) {
    this.#served = served;
    this.#options = options;
    const limits = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 2000 };
    this.#http = createServer(limits, ({ method, url }, response) => {
      const isHealth = method === "GET" && url === "/healthz";
      response.writeHead(isHealth ? 200 : 426, { Connection: "close" });
      response.end(isHealth ? "OK\n" : "A websocket is expected here.\n");
    });
    this.#http.maxConnections = options.mostClients + SPARE_CONNECTIONS;
    this.#http.on("upgrade", (request, socket, head) => this.#welcome(request, socket, head));
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen(port, host, resolve);
    });
    this.#http.on("error", (error) => this.#options.log(error.message)); // such as no more files for sockets
  }

  get url(): string {
    const { address, family, port } = this.#http.address() as AddressInfo;
    return `ws://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  #welcome(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    if (this.#sockets.clients.size >= this.#options.mostClients) {
      socket.once("finish", () => socket.destroy());
      socket.end(`HTTP/1.1 503 ${STATUS_CODES[503]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      new Client(accepted, this.#clients++, this.#served, this.#options).greet();
    });
  }

  /** Says goodbye to the clients and waits until all have left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const socket of this.#sockets.clients) {
      socket.close(1001, "The server stops.");
      socket.resume();
    }
    const cut = setTimeout(() => {
      for (const socket of this.#sockets.clients) socket.terminate();
      this.#http.closeAllConnections();
    }, GOODBYE_MS);
    await closed;
    clearTimeout(cut);
  }
}

interface Message {
  readonly data: RawData;
  readonly isBinary: boolean;
}

/** One client's side of the conversation. */
class Client {
  readonly #socket: WebSocket;
  readonly #number: number;
  readonly #served: Served;
  readonly #options: ServerOptions;
  /** Beyond the first: what came in one piece with it, before reading could be stopped; 64 KiB at most. */
  readonly #waiting: Message[] = [];
  #isAnswering = false;
  #policy: Policy | null = null;
  /** How long the last request took, with all that belongs to it. */
  #lastMs: number | null = null;
  #deadline: NodeJS.Timeout | undefined;

  constructor(socket: WebSocket, number: number, served: Served, options: ServerOptions) {
    this.#socket = socket;
    this.#number = number;
    this.#served = served;
    this.#options = options;
    socket.on("message", (data, isBinary) => {
      if (!this.#isOpen) return;
      socket.pause();
      this.#waiting.push({ data, isBinary });
      if (!this.#isAnswering) void this.#answerAll();
    });
    socket.on("ping", (data) => {
      if (socket.bufferedAmount <= MOST_UNREAD) return socket.pong(data);
      this.#log("pings without reading");
      socket.terminate();
    });
    socket.on("error", (error) => {
      this.#log(error.message);
      this.#cutOffSoon();
    });
    socket.on("close", () => {
      clearTimeout(this.#deadline);
      // A policy at work is let go when it is done.
      if (!this.#isAnswering) this.#release();
    });
  }

  greet(): void {
    this.#expectRequest();
    this.#socket.send(encode(this.#served.metadata));
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Answers what has come, then reads on. */
  async #answerAll(): Promise<void> {
    this.#isAnswering = true;
    for (let next = this.#waiting.shift(); next && this.#isOpen; next = this.#waiting.shift()) {
      clearTimeout(this.#deadline);
      const began = performance.now();
      try {
        const answer = encode(await this.#answer(next, began));
        // From here on the client is waited for.
        this.#expectRequest();
        await this.#send(answer);
      } catch (error) {
        this.#fail(error);
      }
      this.#lastMs = performance.now() - began;
    }
    this.#isAnswering = false;
    if (this.#isOpen) this.#socket.resume();
    else this.#release();
  }

  #release(): void {
    this.#policy?.[Symbol.dispose]?.();
    this.#policy = null;
  }

  async #answer({ data, isBinary }: Message, began: number): Promise<WireMap> {
    const who = "request";
    if (!isBinary) throw new FormatError(who, "a binary frame", "text");
    const { seen, instruction, seed } = readRequest(decode(data as Buffer, who), who);
    if (this.#policy === null) {
      this.#policy = this.#served.policyFor(this.#number, instruction);
      if (seed === null) this.#policy.reset(this.#number);
    }
    if (seed !== null) this.#policy.reset(seed);
    const handed = performance.now();
    const chunk = await this.#policy.act(seen, instruction);
    const done = performance.now();
    const server = new Map<string, WireValue>([["infer_ms", done - began]]);
    if (this.#lastMs !== null) server.set("prev_total_ms", this.#lastMs);
    return new Map<string, WireValue>([
      ["actions", actionsArray(chunk)],
      ["policy_timing", new Map([["infer_ms", done - handed]])],
      ["server_timing", server],
    ]);
  }

  /** Until the bytes have left: who reads nothing is asked nothing more. */
  async #send(message: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.send(message, () => resolve()));
  }

  #expectRequest(): void {
    clearTimeout(this.#deadline);
    if (!this.#isOpen) return;
    const { idleSeconds } = this.#options;
    this.#deadline = setTimeout(
      () => this.#leave(1008, `No request within ${idleSeconds} s.`),
      1000 * idleSeconds,
    );
  }

  /** Tells the client what is its own fault; of other failures the log tells more, under the same number. */
  #fail(error: unknown): void {
    const id = randomBytes(4).toString("hex");
    const message = printable(error instanceof Error ? error.message : String(error), 1000);
    this.#log(`${message} (error ${id})`);
    const told = error instanceof FormatError ? message : "the policy failed";
    if (this.#isOpen) this.#socket.send(`error ${id}: ${told}`);
    this.#leave(1011, "Internal server error. What happened is in the previous frame.");
  }

  #leave(code: number, reason: string): void {
    this.#socket.close(code, reason);
    this.#socket.resume(); // the client's own goodbye is still to be read
    this.#cutOffSoon();
  }

  #cutOffSoon(): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#socket.terminate(), GOODBYE_MS);
  }

  #log(what: string): void {
    this.#options.log(`client ${this.#number}: ${what}`);
  }
}
