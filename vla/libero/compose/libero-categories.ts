/** LIBERO's own categories, as `NAME.json` beside an XML has them: see categories.ts. */
export const LIBERO_CATEGORIES: Readonly<Record<string, unknown>> = {
  wooden_cabinet: {
    rotation: [["x", [0.7853981633974483, 1.5707963267948966]]],
    articulation: { open: [-0.16, -0.14], close: [0, 0.005] },
  },
  white_cabinet: {
    rotation: [["x", [0.7853981633974483, 1.5707963267948966]]],
    articulation: { open: [-0.16, -0.14], close: [0, 0.005] },
  },
  microwave: {
    rotation: [["x", [0.7853981633974483, 1.5707963267948966]]],
    articulation: { open: [-2.094, -1.3], close: [-0.005, 0] },
  },
  flat_stove: {
    rotation: [["y", [0, 0]]],
    articulation: { turnon: [0.5, 2.1], turnoff: [-0.005, 0] },
    stateSites: { burner: "burner" },
  },
  akita_black_bowl: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  alphabet_soup: { rotation: [["z", [1.5707963267948966, 1.5707963267948966]]] },
  basket: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  bbq_sauce: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  black_book: { rotation: [["x", [-1.5707963267948966, -0.7853981633974483]]] },
  chefmate_8_frypan: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  cookies: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  glazed_rim_porcelain_ramekin: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  ketchup: {
    rotation: [
      ["x", [1.5707963267948966, 1.5707963267948966]],
      ["z", [1.5707963267948966, 1.5707963267948966]],
    ],
  },
  milk: {
    rotation: [
      ["x", [1.5707963267948966, 1.5707963267948966]],
      ["z", [1.5707963267948966, 1.5707963267948966]],
    ],
  },
  new_salad_dressing: {
    rotation: [
      ["x", [1.5707963267948966, 1.5707963267948966]],
      ["z", [1.5707963267948966, 1.5707963267948966]],
    ],
  },
  orange_juice: {
    rotation: [
      ["x", [1.5707963267948966, 1.5707963267948966]],
      ["z", [1.5707963267948966, 1.5707963267948966]],
    ],
  },
  plate: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  porcelain_mug: { rotation: [["x", [-1.5707963267948966, -1.5707963267948966]]] },
  red_coffee_mug: { rotation: [["x", [-1.5707963267948966, -1.5707963267948966]]] },
  salad_dressing: {
    rotation: [
      ["x", [1.5707963267948966, 1.5707963267948966]],
      ["z", [1.5707963267948966, 1.5707963267948966]],
    ],
  },
  tomato_sauce: { rotation: [["z", [1.5707963267948966, 1.5707963267948966]]] },
  white_bowl: { rotation: [["x", [1.5707963267948966, 1.5707963267948966]]] },
  white_yellow_mug: { rotation: [["x", [-1.5707963267948966, -1.5707963267948966]]] },
  yellow_book: { rotation: [["x", [-1.5707963267948966, -0.7853981633974483]]] },
};
