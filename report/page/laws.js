// The closed forms of gradscape/models/laws.py, for the page's sliders: mean squares of
// signal and gradient by layer, in a wide network before it trains. docs/theory.md derives
// them. A residual stream has none that short: its distribution is followed on a grid.

const letThrough = slope => (1 + slope ** 2) / 2; // the share of a mean square, by a rectifier
const meanThrough = slope => (1 - slope) / Math.sqrt(2 * Math.PI); // of N(0, 1)
const average = values => values.reduce((a, b) => a + b, 0) / values.length;

// The cosine of two images' features behind a layer (Cho & Saul 2009, section 2).
function cosineMap(cosine, slope) {
  const c = Math.min(1, Math.max(-1, cosine));
  const bend = (1 - slope) ** 2 / (Math.PI * (1 + slope ** 2));
  return c + bend * (Math.sqrt(1 - c * c) - c * Math.acos(c));
}

// The cosine of orthogonal images behind all layers, each with its rectifier.
function lastCosine(slope, rectifiers) {
  let cosine = 0;
  for (let layer = 0; layer < rectifiers; layer++) cosine = cosineMap(cosine, slope);
  return cosine;
}

// The slope at which that is `eta` (Zhang, Botev & Martens 2022, section 4).
function tailoredSlope(eta, rectifiers) {
  let low = 0,
    high = 1;
  for (let halving = 0; halving < 60; halving++) {
    const middle = (low + high) / 2;
    if (lastCosine(middle, rectifiers) > eta) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// The growth of the gradient's mean square by a normalised convolution, backwards (Yang et
// al. 2019, section 3).
function normalisedGradientGrowth(slope) {
  return letThrough(slope) / (letThrough(slope) - meanThrough(slope) ** 2);
}

// The layers of an Edinburgh VGG: its convolutions and the linear layer, whose size is 1.
function layersOf({blocks, width = 32, size = 32}) {
  const layers = [{name: "first conv", size, fanIn: 27, bias: false, stage: 0}];
  for (let stage = 0, number = 0; stage < 3; stage++, size = Math.floor(size / 2))
    for (let b = 0; b <= blocks; b++, number++)
      for (const place of [1, 2]) {
        const reduces = b === blocks;
        layers.push({
          name: `stage ${stage + 1}, block ${b + 1}, conv ${place}`,
          size: reduces && place === 2 ? Math.floor(size / 2) : size,
          fanIn: 9 * width,
          bias: reduces,
          reduces,
          place,
          block: number,
          stage,
        });
      }
  layers.push({name: "output", size: 1, fanIn: width, bias: true});
  return layers;
}

// fan_in times the variance of a convolution's weights, and whether zero padding takes from
// it at the border: only a kernel with taps around its centre reaches there.
function weightsOf({initialisation, slope}) {
  const variance = initialisation === "default" ? 1 / 3 : 2 / (1 + slope ** 2);
  return {
    variance,
    spread: initialisation !== "delta-orthogonal",
    biases: initialisation === "default",
  };
}

// Planes [s, s] of mean squares: the mean over the 3 × 3 taps of each position, zero outside.
function taps(plane) {
  const at = (r, c) => plane[r]?.[c] ?? 0,
    near = [-1, 0, 1];
  return plane.map((row, r) =>
    row.map((_, c) => {
      let sum = 0;
      for (const down of near) for (const right of near) sum += at(r + down, c + right);
      return sum / 9;
    }),
  );
}

const square = (size, value) => Array.from({length: size}, () => Array(size).fill(value));

function pooled(plane) {
  const at = (r, c) => plane[r][c];
  return square(Math.floor(plane.length / 2), 0).map((row, r) =>
    row.map(
      (_, c) =>
        (at(2 * r, 2 * c) +
          at(2 * r + 1, 2 * c) +
          at(2 * r, 2 * c + 1) +
          at(2 * r + 1, 2 * c + 1)) /
        4,
    ),
  );
}

// Signal and gradient of the plain network: E[z²] of each layer from the entry's, taken to
// be 1, and E[(dL/dz)²] from a uniform guess. NaN where the law says nothing.
function plainSquares(layers, options) {
  const {slope, classes, images} = options,
    through = letThrough(slope);
  const {variance, spread, biases} = weightsOf(options),
    mix = spread ? taps : plane => plane;
  let plane = square(layers[0].size, 1);
  const inputs = [NaN]; // the mean square of what each layer is given
  const signal = layers.map((layer, number) => {
    if (!number) return NaN;
    const linear = layer.size === 1 && number === layers.length - 1;
    if (linear) plane = [[average(plane.flat())]];
    else plane = mix(plane.length > layer.size ? pooled(plane) : plane);
    const factor = through * (linear ? 1 / 3 : variance);
    inputs.push(through * average(plane.flat()));
    const bias = layer.bias && (linear || biases) ? 1 / 3 / layer.fanIn : 0;
    plane = plane.map(row => row.map(value => factor * value + bias));
    return average(plane.flat());
  });
  const {logits, behind} = outputErrors(layers, {classes, images});
  const gradient = [logits];
  plane = square(layers.at(-2).size, through * behind);
  gradient.unshift(average(plane.flat()));
  for (let n = layers.length - 3; n > 0; n--) {
    plane = mix(plane).map(row => row.map(value => variance * value));
    if (layers[n].size > layers[n + 1].size) plane = unpooled(plane, layers[n].size);
    plane = plane.map(row => row.map(value => through * value));
    gradient.unshift(average(plane.flat()));
  }
  gradient.unshift(NaN);
  return {signal, gradient, inputs};
}

// The mean square of dL/dz of the logits of a uniform guess, and of each of the positions
// whose mean the linear layer reads.
function outputErrors(layers, {classes, images}) {
  const logits = (1 - 1 / classes) / (classes * images ** 2),
    last = layers.at(-2).size;
  return {logits, behind: ((classes / 3 / layers.at(-1).fanIn) * logits) / last ** 4};
}

// An average pool of 2 × 2, backwards; an odd last row or column is not pooled.
function unpooled(plane, size) {
  return square(size, 0).map((row, r) =>
    row.map((_, c) => (plane[Math.floor(r / 2)]?.[Math.floor(c / 2)] ?? 0) / 16),
  );
}

// Signal and gradient with batch normalisation, shortcuts or both, by the same steps with a
// plane's mean square in place of the plane, and `edge` for what zero padding takes.
function streamSquares(layers, options) {
  const {slope, norm, shortcut} = options,
    {variance, spread, biases} = weightsOf(options);
  const through = letThrough(slope),
    edge = size => (spread ? (1 - 2 / (3 * size)) ** 2 : 1);
  const blocks = [],
    signal = [NaN],
    inputs = [NaN];
  let stream = newStream(1, slope);
  for (let n = 1; n < layers.length - 1; n += 2) {
    const [one, two] = [layers[n], layers[n + 1]],
      given = momentsOf(stream);
    const mix = [variance * edge(one.size), variance * edge(two.size)];
    const bias = one.bias && biases ? 1 / 3 / one.fanIn : 0;
    const first = mix[0] * given.square + bias;
    const second = mix[1] * through * (norm ? 1 : first) + bias;
    signal.push(first, second);
    inputs.push(given.square, through * (norm ? 1 : first));
    const branch = norm ? 1 : second,
      around = shortcut && !one.reduces;
    stream = around ? passBlock(stream, branch, slope) : newStream(branch, slope);
    // What normalisation divides the gradient by: variances about the channels' means.
    const spreads = [
      mix[0] * (given.square - given.mean ** 2),
      mix[1] * (through - meanThrough(slope) ** 2),
    ];
    blocks.push({mix, spreads, back: stream.back, reduces: one.reduces});
  }
  const linear = layers.at(-1),
    {logits, behind} = outputErrors(layers, options);
  inputs.push(momentsOf(stream).square);
  signal.push(inputs.at(-1) / 3 + 1 / 3 / linear.fanIn);
  const gradient = [logits];
  let above = stream.density.map(() => behind);
  for (const {mix, spreads, back, reduces} of blocks.reverse()) {
    const {sum, around} = back(above),
      second = norm ? sum / spreads[1] : sum;
    const within = (through * mix[1] * second) / (reduces ? 16 : 1); // behind a pool of 2 × 2
    const first = norm ? within / spreads[0] : within;
    gradient.unshift(first, second);
    above = around.map(value => mix[0] * first + value);
  }
  gradient.unshift(NaN);
  return {signal, gradient, inputs};
}

// A residual stream: how what blocks are given is distributed, on a grid of 2 × BINS + 1
// places from -reach to reach. `back` takes the mean square of the gradient at each of these
// values to its mean before the rectifier, `sum`, and to what goes `around` the branch, at
// each value that the block was given: a unit that one rectifier lets through, the next does.
const BINS = 400;

// φ(N(0, variance))
function newStream(variance, slope) {
  const density = normalBell(2 * BINS + 1, BINS / 8),
    none = density.map(() => 0);
  return rectified({density, reach: 8 * Math.sqrt(variance)}, slope, () => none);
}

// φ(x + N(0, variance)), on a wider grid if the stream has grown.
function passBlock(stream, variance, slope) {
  const reach = Math.max(stream.reach, 8 * Math.sqrt(momentsOf(stream).square + variance));
  const widened = k => BINS + ((k - BINS) * stream.reach) / reach;
  const deviation = (Math.sqrt(variance) * BINS) / reach;
  const bell = normalBell(2 * Math.ceil(6 * deviation) + 1, deviation);
  const density = blurred(moved(stream.density, widened), bell);
  return rectified({density, reach}, slope, values => read(blurred(values, bell), widened));
}

function rectified({density, reach}, slope, around) {
  const bent = k => (k < BINS ? BINS + (k - BINS) * slope : k);
  const passed = k => (k < BINS ? slope ** 2 : k > BINS ? 1 : letThrough(slope));
  const back = above => {
    const values = read(above, bent).map((value, k) => value * passed(k));
    const sum = density.reduce((total, mass, k) => total + mass * values[k], 0);
    return {sum, around: around(values)};
  };
  return {density: moved(density, bent), reach, back};
}

// The values of a grid, or the masses, spread by a bell.
function blurred(values, bell) {
  const wide = (bell.length - 1) / 2,
    made = values.map(() => 0);
  values.forEach((value, k) => {
    if (!value) return;
    const end = Math.min(2 * BINS, k + wide);
    for (let j = Math.max(0, k - wide); j <= end; j++) made[j] += value * bell[j - k + wide];
  });
  return made;
}

function momentsOf({density, reach}) {
  let mean = 0,
    square = 0;
  density.forEach((mass, k) => {
    const x = ((k - BINS) * reach) / BINS;
    mean += mass * x;
    square += mass * x * x;
  });
  return {mean, square};
}

// Each mass where `to` says; between two places it goes to both, by its distance.
function moved(density, to) {
  const made = density.map(() => 0);
  density.forEach((mass, k) => {
    const place = to(k),
      low = Math.floor(place),
      share = place - low;
    made[low] += mass * (1 - share);
    if (share) made[low + 1] += mass * share;
  });
  return made;
}

// The other way: at each place the value at where `to` says, between two places of both.
function read(values, to) {
  return values.map((_, k) => {
    const place = to(k),
      low = Math.floor(place),
      share = place - low;
    return values[low] * (1 - share) + (share && values[low + 1] * share);
  });
}

function normalBell(count, deviation) {
  const bell = Array.from({length: count}, (_, k) =>
    Math.exp(-(((k - (count - 1) / 2) / deviation) ** 2) / 2),
  );
  const sum = bell.reduce((a, b) => a + b, 0);
  return bell.map(value => value / sum);
}

// Signal and gradient by layer of any of these networks; and `floor`, the mean square of
// dL/dz at which a weight's gradient, a sum over images and positions, is about Adam's ε.
function lawOf(options) {
  const layers = layersOf(options),
    {norm, shortcut, images} = options;
  const found = (norm || shortcut ? streamSquares : plainSquares)(layers, options);
  const floor = layers.map(({size}, n) => 1e-16 / (size * size * images * found.inputs[n]));
  return {layers, ...found, floor};
}
