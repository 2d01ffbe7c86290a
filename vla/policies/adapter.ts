import type { Protocol } from "../libero/protocols.ts";
import type { Image, Observation } from "../observation.ts";
import type { Policy } from "./policy.ts";

/**
 * A policy as a protocol has it see: what is played is LIBERO's own, and this stands between. Policies behind a server
 * see what that server's protocol has them see instead, made from this: `openpi/adapter.ts`.
 */
export function adapted(policy: Policy, { turn }: Pick<Protocol, "turn">): Policy {
  if (turn === "none") return policy;
  return {
    name: policy.name,
    reset: (seed) => policy.reset(seed),
    act: (seen, instruction, request) => policy.act(turned(seen), instruction, request),
    [Symbol.dispose]: () => policy[Symbol.dispose]?.(),
  };
}

/** Pictures turned by 180°: views, no copies. */
function turned(seen: Observation): Observation {
  const rotated = (image: Image): Image => image.step(-1, -1, 1);
  return {
    ...seen,
    agentview_image: rotated(seen.agentview_image),
    robot0_eye_in_hand_image: rotated(seen.robot0_eye_in_hand_image),
  };
}
