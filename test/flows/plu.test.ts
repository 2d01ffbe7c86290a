import { InvertiblePLU } from "../../flows/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws("InvertiblePLU", ({ D }) => new InvertiblePLU(D), { D: 6, C: 0 });
