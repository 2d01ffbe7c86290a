import { AffineCoupling } from "../../flows/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws(
  "AffineCoupling",
  ({ D, conditioner }) => {
    const half = Math.floor(D / 2);
    return new AffineCoupling(conditioner(half, D - half), conditioner(half, D - half));
  },
  { D: 6, C: 4 },
);
