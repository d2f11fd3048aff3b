// Ten classes of pictures of 16 × 16 pixels, drawn from formulas: a shape each, at a random
// place and size, in a colour that varies about its class's own.

// How far inside the shape a point is, in its own coordinates: positive within.
const SHAPES = {
  disc: (x, y) => 1 - Math.hypot(x, y),
  ring: (x, y) => 0.35 - Math.abs(Math.hypot(x, y) - 0.9),
  square: (x, y) => 0.85 - Math.max(Math.abs(x), Math.abs(y)),
  diamond: (x, y) => 1.1 - Math.abs(x) - Math.abs(y),
  cross: (x, y) =>
    Math.min(
      1.1 - Math.max(Math.abs(x), Math.abs(y)),
      0.35 - Math.min(Math.abs(x), Math.abs(y)),
    ),
  triangle: (x, y) => Math.min(0.8 - y, 0.6 * (y + 1.1) - Math.abs(x)),
  bars: (x, y) => Math.min(1.1 - Math.hypot(x, y), Math.sin(5 * x)),
  stairs: (x, y) => Math.min(1.1 - Math.hypot(x, y), Math.sin(5 * y)),
  checks: (x, y) => Math.min(1.1 - Math.hypot(x, y), Math.sin(4 * x) * Math.sin(4 * y)),
  crescent: (x, y) => Math.min(1 - Math.hypot(x, y), Math.hypot(x - 0.5, y) - 0.7),
};

// `count` pictures [images, 3, 16, 16] with values about zero, and their labels.
function pictures(count, {uniform, normal}, size = 16) {
  const shapes = Object.values(SHAPES),
    labels = new Uint8Array(count);
  const drawn = maps(count, 3, size);
  for (let n = 0; n < count; n++) {
    const label = (labels[n] = n % shapes.length);
    const radius = size * (0.28 + 0.1 * uniform());
    const [left, top] = [uniform(), uniform()].map(u => size / 2 + ((u - 0.5) * size) / 10);
    const tint = [0, 1, 2].map(
      c =>
        // hues a tenth of the circle apart
        Math.cos(2 * Math.PI * (label / shapes.length - c / 3)) + 0.1 * normal(),
    );
    const ground = 0.03 * normal();
    for (let c = 0; c < 3; c++)
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++) {
          const inside = shapes[label]((column - left) / radius, (row - top) / radius);
          const cover = Math.min(1, Math.max(0, 0.5 + (inside * radius) / 2));
          const at = (n * 3 + c) * drawn.plane + (row + 1) * (size + 2) + column + 1;
          drawn.data[at] = ground + cover * (0.6 + tint[c]) + 0.03 * normal();
        }
  }
  return {images: drawn, labels};
}

// Minibatches without end: `next` fills one with pictures drawn by lot.
function minibatches({images, labels}, size, {uniform}) {
  const batch = {images: maps(size, 3, images.size), labels: new Uint8Array(size)};
  const length = 3 * images.plane;
  return {
    next() {
      for (let n = 0; n < size; n++) {
        const drawn = Math.floor(uniform() * labels.length);
        batch.images.data.set(
          images.data.subarray(drawn * length, (drawn + 1) * length),
          n * length,
        );
        batch.labels[n] = labels[drawn];
      }
      return batch;
    },
  };
}
