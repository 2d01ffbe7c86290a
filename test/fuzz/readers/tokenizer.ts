import { trainBpe } from "../../../vla/florence2/bpe-train.ts";
import { loadTokenizer } from "../../../vla/florence2/tokenizer.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { jsonValues } from "../structure.ts";

const FILE = "tokenizer.json";
const TEXT = "<s> push the drawer shut <Flow>\u00e9\u{1d11e}  ";

const seed = (json: unknown) => ({ file: FILE, bytes: Buffer.from(JSON.stringify(json)) });
const trained = trainBpe(["push the drawer shut", "push the drawer open"], { size: 280 });

const reader: Reader = {
  seeds: [
    seed(trained),
    seed({ ...trained, added_tokens: trained.added_tokens.filter(({ content }) => content !== "<Flow>") }),
  ],
  mutations: [jsonValues],
  prepare: () => (path) => {
    const tokenizer = loadTokenizer(path);
    const { ids, shape } = tokenizer.encodeBatch([TEXT, ""]);
    const wrong = ids.find((id) => !(id >= 0 && id < tokenizer.size));
    if (wrong !== undefined) throw new BrokenLaw(`id ${wrong} of ${tokenizer.size}`);
    for (const text of [TEXT, "a b"])
      for (const id of tokenizer.encode(text))
        if (!Number.isInteger(id) || id < 0 || id >= tokenizer.size)
          throw new BrokenLaw(`id ${id} of ${tokenizer.size}`);
    return `${tokenizer.size} ids, ${shape[1]} of a text`;
  },
};

export default reader;
