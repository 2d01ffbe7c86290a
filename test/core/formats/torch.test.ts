import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { type ByteSource, bytesSource } from "../../../core/formats/byte-source.ts";
import { countElements, type DTypeName, itemSize, viewAs } from "../../../core/formats/dtype.ts";
import { FormatError } from "../../../core/formats/format-error.ts";
import { Stub } from "../../../core/formats/pickle.ts";
import { readSafetensors } from "../../../core/formats/safetensors.ts";
import { openTorch, readNumpy, stateDict, TensorRef } from "../../../core/formats/torch.ts";
import {
  numpyFile,
  P,
  STORAGE_CLASSES,
  tensor,
  torchFile,
  type View,
  type ZipOptions,
  zip,
} from "./build.ts";

const folder = mkdtempSync(join(tmpdir(), "torch-"));
afterAll(() => rmSync(folder, { recursive: true }));

const open = (bytes: Uint8Array, mode?: "strict" | "checkpoint") =>
  openTorch(bytesSource("test.pt", bytes), mode);
const scalarView: View = { dtype: "F32", key: "0", count: 1, offset: 0, shape: [], stride: [] };
const dtypes = Object.keys(STORAGE_CLASSES) as DTypeName[];
const bytesFor = (count: number, dtype: DTypeName): Uint8Array =>
  Uint8Array.from(
    { length: count * itemSize(dtype) },
    (_, i) => (i * 37 + 11) % (dtype === "BOOL" ? 2 : 251),
  );

/** A view and a storage that holds it: sizes, strides (also zero and overlapping) and an offset, drawn freely. */
const view: fc.Arbitrary<View> = fc
  .record({
    dtype: fc.constantFrom(...dtypes),
    axes: fc.array(fc.record({ size: fc.nat(5), stride: fc.nat(40) }), { maxLength: 4 }),
    offset: fc.nat(50),
    spare: fc.nat(10),
  })
  .map(({ dtype, axes, offset, spare }) => {
    const [shape, stride] = [axes.map((axis) => axis.size), axes.map((axis) => axis.stride)];
    const last = shape.reduce((sum, size, i) => sum + Math.max(0, size - 1) * stride[i], offset);
    return { dtype, key: "0", count: last + 1 + spare, offset, shape, stride };
  });

/** What a view means: every index, one by one. */
function gather({ dtype, count, offset, shape, stride }: View, storage: Uint8Array): unknown[] {
  const elements = viewAs(dtype, new Uint8Array(storage).buffer);
  expect(elements).toHaveLength(count);
  let positions = [offset];
  shape.forEach((size, axis) => {
    positions = positions.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * stride[axis]));
  });
  return positions.map((at) => elements[at]);
}

describe("tensors", () => {
  test.prop([view, fc.boolean()], { numRuns: 300 })(
    "are read through offset and strides, whatever they are",
    (drawn, zip64) => {
      const storage = bytesFor(drawn.count, drawn.dtype);
      using file = open(torchFile(P.file(tensor(drawn)), { 0: storage }, { zip64 }));
      const { dtype, shape, data } = file.read(file.root as TensorRef);
      expect([dtype, shape]).toEqual([drawn.dtype, drawn.shape]);
      expect([...data]).toEqual(gather(drawn, storage));
    },
  );

  // Strides far beyond a block, of axes of length 1 any stride at all, and elements that are in a tensor many times.
  const large = bytesFor(4_100_000, "I16");
  const wide = fc
    .array(
      fc.oneof(
        fc.record({ size: fc.constant(1), stride: fc.maxSafeNat() }),
        fc.record({
          size: fc.integer({ min: 1, max: 6 }),
          stride: fc.oneof(fc.nat(8), fc.nat(40_000), fc.integer({ min: 65_537, max: 200_000 })),
        }),
      ),
      { maxLength: 4 },
    )
    .chain((axes) => fc.record({ axes: fc.constant(axes), offset: fc.nat(70_000) }));
  test.prop([wide], { numRuns: 150 })(
    "equal their dense twin when their strides are large",
    ({ axes, offset }) => {
      const [shape, stride] = [axes.map((axis) => axis.size), axes.map((axis) => axis.stride)];
      const count = shape.reduce((last, size, i) => last + (size - 1) * stride[i], offset) + 1;
      const drawn: View = { dtype: "I16", key: "0", count, offset, shape, stride };
      const storage = large.subarray(0, 2 * count);
      using file = open(torchFile(P.file(tensor(drawn)), { 0: storage }));
      expect([...file.read(file.root as TensorRef).data]).toEqual(gather(drawn, storage));
    },
  );

  // What indexing makes of a contiguous tensor: some steps along each axis, then the axes in another order.
  const sliced = fc
    .array(
      fc.record({ whole: fc.integer({ min: 1, max: 300 }), from: fc.nat(), take: fc.nat(), step: fc.nat() }),
      {
        minLength: 1,
        maxLength: 3,
      },
    )
    .chain((axes) =>
      fc.tuple(fc.constant(axes), fc.shuffledSubarray([...axes.keys()], { minLength: axes.length })),
    )
    .filter(([axes]) => axes.reduce((size, { whole }) => size * whole, 1) <= 2_000_000);
  test.prop([sliced], { numRuns: 150 })(
    "equal their dense twin when they are slices, permuted",
    ([axes, order]) => {
      const count = axes.reduce((size, { whole }) => size * whole, 1);
      let inner = 1;
      let offset = 0;
      const views: { size: number; stride: number }[] = [];
      for (const { whole, from, take, step } of [...axes].reverse()) {
        const [start, by] = [from % whole, 1 + (step % 3)];
        const most = Math.ceil((whole - start) / by);
        offset += start * inner;
        views.unshift({ size: 1 + (take % most), stride: by * inner });
        inner *= whole;
      }
      const shape = order.map((axis) => views[axis].size);
      const drawn: View = {
        dtype: "I16",
        key: "0",
        count,
        offset,
        shape,
        stride: order.map((axis) => views[axis].stride),
      };
      const storage = large.subarray(0, 2 * count);
      using file = open(torchFile(P.file(tensor(drawn)), { 0: storage }));
      const expected = Int16Array.from(gather(drawn, storage) as number[]);
      expect(
        Buffer.compare(
          Buffer.from(file.read(file.root as TensorRef).data.buffer),
          Buffer.from(expected.buffer),
        ),
      ).toBe(0);
    },
  );

  test.each<[string, Pick<View, "offset" | "shape" | "stride"> & { count: number }]>([
    ["W[:, :64].T of (3000, 768)", { count: 3000 * 768, offset: 0, shape: [64, 3000], stride: [1, 768] }],
    ["W[:, 64:128].T of (3000, 768)", { count: 3000 * 768, offset: 64, shape: [64, 3000], stride: [1, 768] }],
    [
      "zeros(3, 1, 100000)[:, :, 0].T",
      { count: 300_000, offset: 0, shape: [1, 3], stride: [100_000, 100_000] },
    ],
    ["x[:, None] of (70000)", { count: 70_000, offset: 0, shape: [70_000, 1], stride: [1, 70_000] }],
  ])("%s", (_, { count, ...how }) => {
    const drawn: View = { dtype: "I16", key: "0", count, ...how };
    const storage = large.subarray(0, 2 * count);
    using file = open(torchFile(P.file(tensor(drawn)), { 0: storage }));
    const expected = Int16Array.from(gather(drawn, storage) as number[]);
    expect(file.read(file.root as TensorRef).data).toEqual(expected);
  });

  /** Opens a file and tells how many calls read how many bytes since. */
  const counting = (bytes: Uint8Array) => {
    const source = bytesSource("test.pt", bytes);
    const count = { calls: 0, bytes: 0 };
    const file = openTorch({
      ...source,
      readInto(target, offset) {
        count.calls++;
        count.bytes += target.length;
        source.readInto(target, offset);
      },
    } satisfies ByteSource);
    count.calls = count.bytes = 0;
    return { file, count };
  };

  test("thin slices of large storages are read piece by piece", () => {
    const count = 300_000;
    const storage = bytesFor(count, "F32");
    const bytes = torchFile(
      P.file(tensor({ dtype: "F32", key: "0", count, offset: 7, shape: [3, 2], stride: [100_000, 1] })),
      { 0: storage },
      { checksums: false }, // verifying would read all
    );
    const { file, count: read } = counting(bytes);
    const { data } = file.read(file.root as TensorRef);
    const floats = new Float32Array(storage.buffer);
    expect([...data]).toEqual([7, 8, 100_007, 100_008, 200_007, 200_008].map((i) => floats[i]));
    expect(read).toEqual({ calls: 3, bytes: 6 * 4 });
  });

  test("elements that lie near one another are read in blocks, not one by one", () => {
    const count = 1_200_000; // 4.6 MiB
    const views: Omit<View, "dtype" | "key" | "count">[] = [
      { offset: 0, shape: [400_000], stride: [3] },
      { offset: 0, shape: [1000, 1200], stride: [1, 1000] },
      { offset: 5, shape: [1500], stride: [768] },
      { offset: 0, shape: [64, 1500], stride: [1, 768] },
    ];
    for (const how of views) {
      const drawn: View = { dtype: "F32", key: "0", count, ...how };
      const { file, count: read } = counting(
        torchFile(P.file(tensor(drawn)), { 0: large.subarray(0, 4 * count) }, { checksums: false }),
      );
      file.read(file.root as TensorRef);
      expect(read.calls).toBeLessThanOrEqual(6);
      expect(read.bytes).toBeLessThanOrEqual(4 * count);
    }
  });

  test("may share a storage, and show it", () => {
    const part = (offset: number): Uint8Array =>
      tensor({ dtype: "F32", key: "5", count: 4, offset, shape: [2], stride: [1] });
    using file = open(torchFile(P.file(P.list(part(0), part(2))), { 5: bytesFor(4, "F32") }));
    const [a, b] = file.root as TensorRef[];
    expect([a.storageKey, b.storageKey]).toEqual(["5", "5"]);
    expect([file.read(a).data.length, b.offset]).toEqual([2, 2]);
  });

  test("as parameters, of untyped storages, with a size and a device", () => {
    const plain = tensor({ dtype: "F64", key: "0", count: 1, offset: 0, shape: [], stride: [] });
    const parameter = P.reduce(
      P.global("torch._utils", "_rebuild_parameter"),
      P.tuple(plain, P.bool(true), P.dict()),
    );
    const id = P.tuple(
      P.text("storage"),
      P.global("torch.storage", "UntypedStorage"),
      P.text("1"),
      P.text("cpu"),
      P.int(8),
    );
    const untyped = P.reduce(
      P.global("torch._utils", "_rebuild_tensor_v3"),
      P.tuple(
        P.persistent(id),
        P.int(1),
        P.tuple(P.int(3)),
        P.tuple(P.int(1)),
        P.bool(false),
        P.dict(),
        P.global("torch", "uint16"),
      ),
    );
    const size = P.reduce(P.global("torch", "Size"), P.tuple(P.tuple(P.int(2), P.int(3))));
    const device = P.reduce(P.global("torch", "device"), P.tuple(P.text("cuda"), P.int(0)));
    const root = P.list(parameter, untyped, size, device, P.global("torch", "bfloat16"));
    const storages = { 0: bytesFor(1, "F64"), 1: Uint8Array.of(0, 0, 1, 0, 2, 0, 3, 1) };
    using file = open(torchFile(P.file(root), storages));
    const [a, b, c, d] = file.root as [TensorRef, TensorRef, unknown, unknown];
    expect([a.dtype, file.read(a).shape]).toEqual(["F64", []]);
    expect([b.dtype, [...file.read(b).data]]).toEqual(["U16", [1, 2, 259]]);
    expect([c, d]).toEqual([[2, 3], "cuda:0"]);
  });
});

describe("small programs that would make much", () => {
  const repeated = (prefix: Buffer, step: Buffer, times: number): Buffer =>
    torchFile(P.file(Buffer.concat([prefix, Buffer.alloc(times * step.length, step)])));

  test.each<[string, Buffer, RegExp]>([
    // d = device(d, d), again and again: a text of 2^400 characters
    [
      "texts that double",
      repeated(
        Buffer.concat([P.put(0, P.global("torch", "device")), P.put(1, P.text("xx"))]),
        Buffer.from("68006801680186527101", "hex"),
        400,
      ),
      /a device's type and number/,
    ],
    // t = (t, t) fifty times, then device(t): 2^50 paths to walk
    [
      "a shared value as an argument",
      torchFile(
        P.file(
          P.reduce(
            P.global("torch", "device"),
            P.tuple(Buffer.concat([P.tuple(), Buffer.alloc(50 * 5, Buffer.from("7100680086", "hex"))])),
          ),
        ),
      ),
      /a device's type and number, found .*a tuple of 2/,
    ],
    // torch.Size of a tuple of 100,000, 100,000 times
    [
      "a long torch.Size over and over",
      repeated(
        Buffer.concat([
          P.put(0, P.global("torch", "Size")),
          P.put(1, P.tuple(P.tuple(Buffer.alloc(100_000, Buffer.from("4e", "hex"))))),
        ]),
        Buffer.from("680068015230", "hex"),
        100_000,
      ),
      /a torch.Size, found a tuple of 100000/,
    ],
    // a name of 2 MiB, looked up 200,000 times
    [
      "long names",
      repeated(P.put(0, P.text("m".repeat(2 ** 20))), Buffer.from("680068009330", "hex"), 200_000),
      /names of at most 500 characters, found 1048576/,
    ],
    [
      "a long storage key",
      torchFile(P.file(tensor({ ...scalarView, key: "k".repeat(65) }))),
      /a storage key/,
    ],
  ])("%s", (_, bytes, message) => {
    for (const mode of ["strict", "checkpoint"] as const) {
      expect(() => open(bytes, mode)).toThrow(FormatError);
      expect(() => open(bytes, mode)).toThrow(message);
    }
  });
});

describe("views that lie", () => {
  const good: View = { dtype: "F32", key: "0", count: 6, offset: 0, shape: [2, 3], stride: [3, 1] };
  const load = (bad: Partial<View>, storage = bytesFor(6, "F32")) =>
    open(torchFile(P.file(tensor({ ...good, ...bad })), { 0: storage }));

  test.each<[string, Partial<View>, RegExp]>([
    ["one element too far", { offset: 1 }, /inside the 6 stored, found one at 6/],
    ["a stride too long", { stride: [4, 1] }, /found one at 6/],
    ["a negative offset", { offset: -1 }, /an offset, found number -1/],
    ["a negative size", { shape: [-2, 3] }, /a shape and its strides/],
    ["a negative stride", { stride: [-3, 1] }, /a shape and its strides/],
    ["fewer strides than sizes", { stride: [3] }, /a shape and its strides/],
    ["more elements than 2^53", { shape: [2 ** 30, 2 ** 30], stride: [0, 0] }, /a shape that fits/],
    ["an expansion without end", { shape: [2 ** 30], stride: [0] }, /a shape that fits 6 stored elements/],
    [
      "50,000 axes",
      { shape: new Array(50_000).fill(1), stride: new Array(50_000).fill(1) },
      /a shape and its strides/,
    ],
    ["65 axes", { shape: new Array(65).fill(1), stride: new Array(65).fill(1) }, /a tuple of 65/],
    ["strides that overflow", { shape: [2 ** 24, 1], stride: [2 ** 30, 1] }, /found one at/],
    ["a storage larger than its entry", { count: 7 }, /28 bytes in data\/0, found 24/],
    ["a storage of negative size", { count: -1 }, /the size of storage 0, found number -1/],
    ["a storage that is not there", { key: "1" }, /an entry data\/1, found none/],
    [
      "a storage outside the data folder",
      { key: "../data.pkl" },
      /an entry data\/\.\.\/data.pkl, found none/,
    ],
  ])("%s", (_, bad, message) => {
    expect(() => load(bad)).toThrow(FormatError);
    expect(() => load(bad)).toThrow(message);
  });

  test("views of no elements may point anywhere", () => {
    using file = load({ shape: [0, 3], offset: 100 });
    expect(file.read(file.root as TensorRef).data).toHaveLength(0);
  });
});

describe("damaged storages", () => {
  const row: View = { dtype: "F32", key: "0", count: 6, offset: 0, shape: [6], stride: [1] };
  const part: View = { ...row, shape: [2], stride: [3] };
  const damaged = (view: View, options: ZipOptions = {}): Buffer => {
    const storage = bytesFor(6, "F32");
    const bytes = torchFile(P.file(tensor(view)), { 0: storage }, options);
    bytes[bytes.indexOf(storage) + 9] ^= 4;
    return bytes;
  };

  test.each([
    ["read whole", row],
    ["read in part", part],
  ])("are refused when %s", (_, view) => {
    using file = open(damaged(view));
    expect(() => file.read(file.root as TensorRef)).toThrow(
      /test.pt, archive\/data\/0: expected bytes of the checksum 0x\w+, found 0x\w+: the file is damaged/,
    );
  });

  test("cannot be told where PyTorch was asked to leave checksums out", () => {
    using file = open(damaged(row, { checksums: false }));
    expect(file.read(file.root as TensorRef).data).toHaveLength(6);
  });

  test("of more than 64 MiB are read in part unseen, and found when verified or read whole", () => {
    const count = 2 ** 24 + 1; // F32: 4 bytes more than 64 MiB
    const storage = Buffer.alloc(4 * count);
    const all: View = { ...row, count, shape: [count] };
    const bytes = torchFile(P.file(P.list(tensor({ ...part, count }), tensor(all))), { 0: storage });
    bytes[bytes.length >> 1] ^= 4;
    const source = bytesSource("test.pt", bytes);
    let read = 0;
    using file = openTorch({
      ...source,
      readInto(target, offset) {
        read += target.length;
        source.readInto(target, offset);
      },
    });
    const [small, whole] = file.root as TensorRef[];
    expect([...file.read(small).data]).toEqual([0, 0]);
    expect(read).toBeLessThan(100);
    expect(() => file.verify(small)).toThrow(/the file is damaged/);
    expect(read).toBeGreaterThan(4 * count);
    expect(() => file.read(whole)).toThrow(/the file is damaged/);
  });

  test("a storage is verified once", () => {
    const { buffer } = bytesFor(6, "F32");
    const source = bytesSource("test.pt", torchFile(P.file(tensor(part)), { 0: new Uint8Array(buffer) }));
    let read = 0;
    using file = openTorch({
      ...source,
      readInto(target, offset) {
        read++;
        source.readInto(target, offset);
      },
    });
    for (let i = 0; i < 3; i++) {
      file.read(file.root as TensorRef);
      file.verify(file.root as TensorRef);
    }
    expect(read).toBe(1 + 3);
  });
});

describe("archives that are refused", () => {
  const pickle = P.file(P.none);

  test("the legacy format, by its first bytes", () => {
    const magic = Buffer.from("80028a0a6cfc9c46f9206aa85019", "hex");
    expect(() => open(Buffer.concat([magic, Buffer.from("2e8002", "hex")]))).toThrow(
      /zip format, found its legacy format \(before 1.6\): re-save it as safetensors/,
    );
  });

  test("big-endian ones", () => {
    expect(() => open(torchFile(pickle, {}, { byteorder: "big" }))).toThrow(/byte order little, found "big"/);
    using _ = open(torchFile(pickle, {}, { byteorder: "" })); // before 2.1 no file said
  });

  test("no pickle, or two", () => {
    expect(() => open(zip({ "archive/version": Buffer.from("3") }))).toThrow(/data.pkl, found 0 of them/);
    expect(() => open(torchFile(pickle, { "a/data.pkl": pickle }))).toThrow(
      /one entry \*\/data.pkl, found 2/,
    );
    expect(() => open(Buffer.from("text"))).toThrow(/a ZIP archive/);
  });

  test("any prefix will do", () => {
    using file = open(torchFile(P.file(P.int(5)), {}, { prefix: "my model/epoch=3" }));
    expect(file.root).toBe(5);
  });

  test("a path that is a folder, or nothing", () => {
    expect(() => openTorch(folder)).toThrow(/a regular file, found a folder/);
    expect(() => openTorch(join(folder, "none.pt"))).toThrow(/a file that can be read, found none/);
  });
});

describe("Lightning checkpoints", () => {
  const scalar = (key: string): Uint8Array =>
    tensor({ dtype: "F32", key, count: 1, offset: 0, shape: [1], stride: [1] });
  const storages = Object.fromEntries(
    ["0", "1", "2", "3"].map((key, i) => [key, new Uint8Array(Float32Array.of(i).buffer)]),
  );
  const model = P.dict([P.text("b"), scalar("0")], [P.text("a"), scalar("1")]);
  const hyper = P.build(
    P.reduce(P.global("omegaconf.dictconfig", "DictConfig"), P.tuple()),
    P.dict([P.text("lr"), P.float(1e-4)]),
  );
  const checkpoint = (averages: Uint8Array): Uint8Array =>
    P.file(
      P.dict(
        [P.text("epoch"), P.int(3)],
        [P.text("hyper_parameters"), hyper],
        [P.text("state_dict"), model],
        [
          P.text("callbacks"),
          P.dict([P.text("EMA"), P.dict([P.text("cur_step"), P.int(9)], [P.text("ema_weights"), averages])]),
        ],
      ),
    );
  const whole = torchFile(checkpoint(P.list(scalar("2"), scalar("3"))), storages);
  const read = (bytes: Uint8Array, weights: "model" | "ema") => {
    using file = open(bytes, "checkpoint");
    return [...stateDict(file, { weights })].map(([name, ref]) => [name, file.read(ref).data[0]]);
  };

  test("give trained weights, or averages in the order of the trained ones", () => {
    expect(read(whole, "model")).toEqual([
      ["b", 0],
      ["a", 1],
    ]);
    expect(read(whole, "ema")).toEqual([
      ["b", 2],
      ["a", 3],
    ]);
  });

  test("hold hyper-parameters as stubs, and are refused by name when read strictly", () => {
    using file = open(whole, "checkpoint");
    expect((file.root as Map<unknown, unknown>).get("hyper_parameters")).toBeInstanceOf(Stub);
    expect(() => open(whole)).toThrow(/the global omegaconf.dictconfig.DictConfig, which is refused/);
  });

  test("must have as many averages as weights, all tensors, of the same shapes", () => {
    const fewer = torchFile(checkpoint(P.list(scalar("2"))), storages);
    expect(() => read(fewer, "ema")).toThrow(
      /ema_weights: expected a list of 2 tensors.*, found a list of 1/,
    );
    const other = torchFile(checkpoint(P.list(scalar("2"), P.int(3))), storages);
    expect(() => read(other, "ema")).toThrow(/checkpoint, a: expected a tensor, found number 3/);
    const twice = tensor({ dtype: "F32", key: "2", count: 1, offset: 0, shape: [1, 1], stride: [1, 1] });
    expect(() => read(torchFile(checkpoint(P.list(scalar("2"), twice)), storages), "ema")).toThrow(
      /shape \[1\], found \[1,1\]/,
    );
  });

  test("a state dict may be an OrderedDict that carries version notes", () => {
    const ordered = P.fill(P.reduce(P.global("collections", "OrderedDict"), P.tuple()), [
      P.text("a"),
      scalar("1"),
    ]);
    const noted = P.build(ordered, P.dict([P.text("_metadata"), P.dict([P.text(""), P.dict()])]));
    expect(read(torchFile(P.file(noted), storages), "model")).toEqual([["a", 1]]);
  });

  test("a bare state dict is one, without averages", () => {
    const bare = torchFile(P.file(model), storages);
    expect(read(bare, "model")).toHaveLength(2);
    expect(() => read(bare, "ema")).toThrow(/ema_weights: expected a list of 2 tensors.*, found nothing/);
  });

  test("what is no state dict is refused with its place", () => {
    expect(() => read(torchFile(P.file(P.list())), "model")).toThrow(/a dict, found a list of 0/);
    const stray = torchFile(P.file(P.dict([P.text("optimizer"), P.dict()])));
    expect(() => read(stray, "model")).toThrow(/optimizer: expected a tensor, found a dict of 0/);
    const numbered = torchFile(P.file(P.dict([P.int(1), scalar("0")])), storages);
    expect(() => read(numbered, "model")).toThrow(/names, found number 1/);
  });
});

describe("NumPy arrays", () => {
  const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
  const arrays = shapes.chain((shape) => {
    const count = countElements(shape)!;
    return fc.tuple(fc.constant(shape), fc.float64Array({ minLength: count, maxLength: count }));
  });

  test.prop([arrays])("come back bit for bit, through latin1 text", ([shape, data]) => {
    const read = readNumpy(bytesSource("test", numpyFile(shape, data)));
    expect(read.shape).toEqual(shape);
    expect(Buffer.from(read.data.buffer)).toEqual(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  });

  test("in column order are put into row order", () => {
    const file = numpyFile([2, 3], Float64Array.of(0, 10, 1, 11, 2, 12), { fortran: true });
    expect([...readNumpy(bytesSource("test", file)).data]).toEqual([0, 1, 2, 10, 11, 12]);
  });

  test("must fill their shape, be float64 and little-endian, and stand alone", () => {
    const source = (bytes: Uint8Array) => () => readNumpy(bytesSource("test", bytes));
    expect(source(numpyFile([2, 2], new Float64Array(3)))).toThrow(/32 bytes for shape \(2, 2\), found 24/);
    expect(source(numpyFile([-1, -1], new Float64Array(1)))).toThrow(/whole sizes, found a tuple of 2/);
    const patched = (from: string, to: string): Buffer => {
      const bytes = numpyFile([1], new Float64Array(1), { checksums: false });
      const at = bytes.indexOf(from);
      expect(at).toBeGreaterThan(0);
      bytes.write(to, at, "latin1");
      return bytes;
    };
    expect(source(patched("f8", "i8"))).toThrow(/an array of f8, found i8/);
    expect(source(patched("f8", "O8"))).toThrow(/a numeric element type .*, found "O8"/);
    expect(source(patched("\x01\0\0\0<", "\x01\0\0\0>"))).toThrow(/little-endian elements/);
    expect(source(torchFile(P.file(P.list())))).toThrow(/one NumPy array, found a list of 0/);
    expect(source(torchFile(P.file(P.reduce(P.global("numpy", "load"), P.tuple()))))).toThrow(
      /numpy.load, which is refused/,
    );
  });

  test("no long shape is walked for every array that names it", () => {
    const shape = P.tuple(...new Array<Buffer>(65).fill(P.int(1)));
    const type = P.reduce(P.global("numpy", "dtype"), P.tuple(P.text("f8")));
    const made = P.reduce(P.global("numpy.core.multiarray", "_reconstruct"), P.tuple());
    const state = P.tuple(P.int(1), shape, type, P.bool(false), P.blob(new Uint8Array(8)));
    expect(() => open(torchFile(P.file(P.build(made, state))))).toThrow(
      /64 whole sizes, found a tuple of 65/,
    );
  });

  test("the same bytes are not made over and over out of one text", () => {
    // 6 bytes of opcodes for each call, a MiB for each result: 100 GiB from 1.6 MiB.
    const start = Buffer.concat([
      P.put(0, P.global("_codecs", "encode")),
      P.put(1, P.tuple(P.text("x".repeat(2 ** 20)), P.text("latin1"))),
    ]);
    const call = Buffer.from("680068015230", "hex"); // BINGET 0, BINGET 1, REDUCE, POP
    const calls = Buffer.concat([start, Buffer.alloc(100_000 * call.length, call), Buffer.from("30", "hex")]);
    expect(() => open(torchFile(P.file(calls)))).toThrow(/at most \d+ bytes made by calls, found more/);
  });

  test("scalars in checkpoints are numbers", () => {
    const type = (code: string) => P.reduce(P.global("numpy", "dtype"), P.tuple(P.text(code)));
    const scalar = (code: string, bytes: Uint8Array) =>
      P.reduce(P.global("numpy._core.multiarray", "scalar"), P.tuple(type(code), P.blob(bytes)));
    const root = P.list(
      scalar("f4", new Uint8Array(Float32Array.of(2.5).buffer)),
      scalar("i2", Uint8Array.of(254, 255)),
    );
    using file = open(torchFile(P.file(root)));
    expect(file.root).toEqual([2.5, -2]);
    expect(() => open(torchFile(P.file(scalar("f8", new Uint8Array(4)))))).toThrow(
      /a numpy.dtype and its bytes/,
    );
  });
});

describe("damage", () => {
  test("no flipped bit changes an array unseen", () => {
    const values = Float64Array.of(1, -2.5, 1e-300, 0);
    const whole = numpyFile([2, 2], values);
    const kept = { shape: [2, 2], data: values };
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const broken = Buffer.from(whole);
        broken[at] ^= 1 << bit;
        try {
          expect(readNumpy(bytesSource("test", broken))).toEqual(kept);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
        }
      }
    }
  });

  const whole = torchFile(
    P.file(
      P.dict([
        P.text("w"),
        tensor({ dtype: "F32", key: "0", count: 4, offset: 0, shape: [2, 2], stride: [2, 1] }),
      ]),
    ),
    { 0: bytesFor(4, "F32") },
    { zip64: true },
  );
  const readAll = (bytes: Uint8Array): void => {
    using file = open(bytes, "checkpoint");
    for (const ref of stateDict(file, { weights: "model" }).values()) file.read(ref);
  };

  test("every truncation is a FormatError", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => readAll(whole.subarray(0, length))).toThrow(FormatError);
    }
  });

  test("every flipped bit gives tensors or a FormatError", () => {
    const broken = Buffer.from(whole);
    for (let at = 0; at < broken.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        broken[at] ^= 1 << bit;
        try {
          readAll(broken);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
        }
        broken[at] ^= 1 << bit;
      }
    }
  });

  test.prop([fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 2, maxLength: 10 })], { numRuns: 1000 })(
    "several changed bytes as well",
    (changes) => {
      const broken = Buffer.from(whole);
      for (const [at, byte] of changes) broken[at % broken.length] = byte;
      try {
        readAll(broken);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    },
  );

  test("files are read from disk alike, and closed after a refusal", () => {
    const path = join(folder, "whole.pt");
    writeFileSync(path, whole);
    using file = openTorch(path);
    const [ref] = stateDict(file, { weights: "model" }).values();
    expect(ref).toBeInstanceOf(TensorRef);
    expect(file.read(ref).data).toHaveLength(4);
    writeFileSync(path, whole.subarray(0, 100));
    const handles = () => readdirSync("/proc/self/fd").length;
    if (process.platform === "linux") {
      const before = handles();
      for (let i = 0; i < 20; i++) expect(() => openTorch(path)).toThrow(FormatError);
      expect(handles()).toBe(before);
    }
  });
});

const goldens = process.env.NINA_GOLDENS;

describe.skipIf(!goldens)("PyTorch's own files (needs NINA_GOLDENS)", () => {
  test.each(["checkpoint_mlp", "checkpoint_trans"])(
    "%s: trained weights and averages equal the safetensors twin",
    (name) => {
      const twin = readSafetensors(join(goldens!, "nina", `${name}.safetensors`));
      using file = openTorch(join(goldens!, "nina", `${name}.ckpt`));
      for (const [weights, prefix] of [
        ["model", "state."],
        ["ema", "ema."],
      ] as const) {
        const tensors = stateDict(file, { weights });
        expect(tensors.size).toBeGreaterThan(50);
        for (const [key, ref] of tensors) {
          const expected = twin.get(prefix + key);
          if (expected === undefined) continue; // the twin leaves out what equals the other set
          expect(file.read(ref)).toEqual(expected);
        }
        const names = [...tensors.keys()].map((key) => prefix + key);
        expect([...twin.keys()].filter((key) => key.startsWith(prefix) && !names.includes(key))).toEqual([]);
      }
    },
  );
});
