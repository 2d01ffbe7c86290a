import { AdditiveCoupling, alternating } from "../../flows/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws(
  "AdditiveCoupling",
  ({ D, conditioner }) => new AdditiveCoupling(conditioner(Math.floor(D / 2), Math.ceil(D / 2))),
  { D: 5, C: 3 },
);

bijectorLaws(
  "AdditiveCoupling of every other entry",
  ({ D, conditioner }) =>
    new AdditiveCoupling(conditioner(Math.ceil(D / 2), Math.floor(D / 2)), alternating(D, { even: true })),
  { D: 6, C: 0 },
);
