import { Permutation } from "../../flows/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws("Permutation", ({ D }) => new Permutation(D), { D: 6, C: 0 });
