/**
 * A client and a server written from RFC 6455 and the MessagePack specification alone, with none of the project's code,
 * to be as wrong as we like.
 */
import { createHash } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Bytes from text and from hex in <>: `"<93>abc"`. */
export const bytes = (text: string): Buffer =>
  Buffer.concat(
    [...text.matchAll(/<([0-9a-f ]*)>|([^<]+)/g)].map(([, hex, plain]) =>
      hex === undefined ? Buffer.from(plain) : Buffer.from(hex.replaceAll(" ", ""), "hex"),
    ),
  );

const u32 = (value: number): string => value.toString(16).padStart(8, "0");

/** A NumPy array as openpi packs it: `dtype` with <3c> for "<", `shape` up to 65,535 each. */
export function packArray(dtype: string, shape: readonly number[], data: Buffer): Buffer {
  const sizes = shape.map((size) => `<cd${size.toString(16).padStart(4, "0")}>`).join("");
  return Buffer.concat([
    bytes(`<84 c40b>__ndarray__<c3 c404>data<c6 ${u32(data.length)}>`),
    data,
    bytes(`<c405>dtype<a3>${dtype}<c405>shape<9${shape.length}>${sizes}`),
  ]);
}

/** What openpi's client for LIBERO sends: pictures of `side` pixels, a state of float64, a prompt. */
export function packObservation(
  prompt: string,
  { side = 8, picture = Buffer.alloc(side * side * 3), state = new Float64Array(8), extra = "" } = {},
): Buffer {
  const image = packArray("|u1", [side, side, 3], picture);
  return Buffer.concat([
    bytes(`<8${extra === "" ? 4 : 5} b1>observation/image`),
    image,
    bytes("<b7>observation/wrist_image"),
    image,
    bytes("<b1>observation/state"),
    packArray("<3c>f8", [8], Buffer.from(state.buffer)),
    bytes(`<a6>prompt<d9 ${Buffer.byteLength(prompt).toString(16).padStart(2, "0")}>${prompt}${extra}`),
  ]);
}

export const BINARY = 2;
export const TEXT = 1;
export const CLOSE = 8;
export const PING = 9;

/** A frame from client to server, masked with zeros, which leave the payload as it is. */
export function frame(opcode: number, payload: Buffer, claimed = payload.length): Buffer {
  const head =
    claimed < 126
      ? `<8${opcode} ${(0x80 + claimed).toString(16)}>`
      : `<8${opcode} ff 00000000 ${u32(claimed)}>`;
  return Buffer.concat([bytes(head), Buffer.alloc(4), payload]);
}

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export class RawClient {
  readonly socket: Socket;
  #unread = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {}); // told by `read`
  }

  /** Connects and asks for a websocket. @returns null, and the status line, where that is refused. */
  static async open(url: string, path = "/"): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const client = new RawClient(connect(Number(port), hostname));
    client.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    const head = await client.#take((unread) => unread.indexOf("\r\n\r\n") + 4 || null, 4);
    const [status] = head.toString().split("\r\n");
    if (!status.startsWith("HTTP/1.1 101")) throw new Error(status);
    // The answer that RFC 6455 gives for its example key.
    if (!head.includes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) throw new Error(`wrong handshake: ${head}`);
    return client;
  }

  send(message: Buffer): void {
    this.socket.write(frame(BINARY, message));
  }

  /** The next frame; rejects when the connection ends before. */
  async read(): Promise<Frame> {
    const [first, length] = await this.#take(() => 2);
    const long =
      length === 127 ? await this.#take(() => 8) : length === 126 ? await this.#take(() => 2) : null;
    const size =
      long === null ? length : long.readUIntBE(long.length === 8 ? 2 : 0, long.length === 8 ? 6 : 2);
    return { opcode: first & 0x0f, payload: await this.#take(() => size) };
  }

  /** All frames until the connection ends. */
  async readAll(): Promise<Frame[]> {
    const frames: Frame[] = [];
    try {
      for (;;) {
        frames.push(await this.read());
        if (frames.at(-1)?.opcode === CLOSE) this.socket.write(frame(CLOSE, Buffer.alloc(0)));
      }
    } catch {
      return frames;
    }
  }

  /** The next bytes, as many as `size` says of those that have come; it is asked again when it does not know. */
  async #take(size: (unread: Buffer) => number | null, least = 0): Promise<Buffer> {
    for (;;) {
      const count = this.#unread.length < least ? null : size(this.#unread);
      if (count !== null && count >= least && this.#unread.length >= count) {
        const taken = this.#unread.subarray(0, count);
        this.#unread = this.#unread.subarray(count);
        return taken;
      }
      this.#unread = Buffer.concat([this.#unread, await this.#more()]);
    }
  }

  async #more(): Promise<Buffer> {
    const { socket } = this;
    return new Promise((resolve, reject) => {
      const settle = (chunk: Buffer | null) => {
        socket.pause().off("data", settle).off("close", end);
        if (chunk) resolve(chunk);
        else reject(new Error("the connection has ended"));
      };
      const end = () => settle(null);
      if (socket.destroyed) return settle(null);
      socket.on("data", settle).on("close", end).resume();
    });
  }
}

/** A frame from server to client. */
export function serverFrame(opcode: number, payload: Buffer, claimed = payload.length): Buffer {
  const head =
    claimed < 126
      ? `<8${opcode} ${claimed.toString(16).padStart(2, "0")}>`
      : `<8${opcode} 7f 00000000 ${u32(claimed)}>`;
  return Buffer.concat([bytes(head), payload]);
}

/** Answers `GET /healthz`, accepts websockets, and leaves to its user what is sent on them. */
export class RawServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that became websockets. */
  accepted = 0;

  private constructor(
    greet: (socket: Socket) => void,
    answer: (socket: Socket, message: Buffer, connection: number) => void,
  ) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      let unread = Buffer.alloc(0);
      let connection = -1;
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        unread = Buffer.concat([unread, chunk]);
        if (connection === -1) {
          const end = unread.indexOf("\r\n\r\n");
          if (end === -1) return;
          const head = unread.subarray(0, end).toString();
          unread = unread.subarray(end + 4);
          const [, key] = /^Sec-WebSocket-Key: (.*)$/im.exec(head) ?? [];
          if (key === undefined) return socket.end("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOK\n");
          const accept = createHash("sha1")
            .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
            .digest("base64");
          socket.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
              `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
          );
          connection = this.accepted++;
          greet(socket);
        }
        for (;;) {
          const taken = takeMasked(unread);
          if (taken === null) return;
          unread = unread.subarray(taken.size);
          if (taken.opcode === BINARY) answer(socket, taken.payload, connection);
        }
      });
    });
  }

  static async start(
    greet: (socket: Socket) => void,
    answer: (socket: Socket, message: Buffer, connection: number) => void = () => {},
    port = 0,
  ): Promise<RawServer> {
    const server = new RawServer(greet, answer);
    await new Promise<void>((resolve) => server.#server.listen(port, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** The first frame of a client, if it is complete, unmasked. */
function takeMasked(unread: Buffer): (Frame & { size: number }) | null {
  if (unread.length < 6) return null;
  const length = unread[1] & 0x7f;
  const wide = length === 127 ? 8 : length === 126 ? 2 : 0;
  if (unread.length < 6 + wide) return null;
  const count = wide === 8 ? unread.readUIntBE(4, 6) : wide === 2 ? unread.readUInt16BE(2) : length;
  const size = 6 + wide + count;
  if (unread.length < size) return null;
  const mask = unread.subarray(2 + wide, 6 + wide);
  const payload = Buffer.from(unread.subarray(6 + wide, size).map((byte, i) => byte ^ mask[i % 4]));
  return { opcode: unread[0] & 0x0f, payload, size };
}
