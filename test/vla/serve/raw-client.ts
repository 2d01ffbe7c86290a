/** A client written from RFC 6455 and the MessagePack specification alone, with none of the project's code, to be as wrong as we like. */
import { connect, type Socket } from "node:net";

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
