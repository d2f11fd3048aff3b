// A VGG of the Edinburgh coursework as gradscape/models/vgg_edinburgh.py computes it, made
// narrow and small enough to train in a browser, and the optimiser that trains it.

// Two convolutions, with a shortcut from its input to before its last rectifier perhaps.
class Block {
  constructor({images, width, slope, norm, shortcut}, size, reduces) {
    const small = reduces ? size / 2 : size;
    const convolution = s => new Convolution(images, width, width, s, reduces);
    const normalisation = s => (norm ? [new Normalisation(images, width, s)] : []);
    this.shortcut = shortcut && !reduces;
    this.layers = [convolution(size), ...normalisation(size), new Rectifier(slope)];
    if (reduces) this.layers.push(new Pool(images, width, size));
    this.layers.push(convolution(small), ...normalisation(small));
    this.last = new Rectifier(slope);
  }

  forward(x) {
    const out = this.layers.reduce((maps, layer) => layer.forward(maps), x);
    if (this.shortcut) add(out, x);
    return this.last.forward(out);
  }

  backward(gradient) {
    const above = this.last.backward(gradient);
    const beside = this.shortcut ? {data: above.data.slice()} : null;
    const below = this.layers.reduceRight((maps, layer) => layer.backward(maps), above);
    if (beside) add(below, beside);
    return below;
  }
}

function add(to, from) {
  for (let p = 0; p < to.data.length; p++) to.data[p] += from.data[p];
}

// Three stages of `blocks` blocks, each with one more that halves the feature maps; between
// an entry, which is always normalised, and a linear layer. Options, with their defaults:
const PLAIN = {
  blocks: 5,
  width: 8,
  size: 16,
  classes: 10,
  images: 16, // of a minibatch
  norm: false,
  shortcut: false,
  slope: LEAKY,
  initialisation: "default",
  seed: 0,
};

class Network {
  constructor(options) {
    const o = (this.options = {...PLAIN, ...options});
    this.entry = [
      new Convolution(o.images, 3, o.width, o.size, false),
      new Normalisation(o.images, o.width, o.size),
      new Rectifier(o.slope),
    ];
    this.blocks = [];
    for (let size = o.size; size > o.size / 8; size /= 2)
      for (let b = 0; b <= o.blocks; b++) this.blocks.push(new Block(o, size, b === o.blocks));
    this.head = {weight: parameter(o.classes * o.width), bias: parameter(o.classes)};
    this.layers = [...this.entry, ...this.blocks.flatMap(block => block.layers)];
    this.convolutions = this.layers.filter(layer => layer instanceof Convolution);
    // In PyTorch's order.
    this.parameters = [...this.layers, this.head].flatMap(layer =>
      [layer.weight, layer.scale, layer.bias, layer.shift].filter(Boolean),
    );
    this.initialise(randomness(o.seed));
  }

  initialise({uniform, normal}) {
    const {initialisation, slope, width} = this.options;
    const gain = Math.sqrt(2 / (1 + slope ** 2));
    for (const layer of [...this.convolutions, this.head]) {
      const values = layer.weight.value,
        fanIn = layer === this.head ? width : layer.inputs * 9;
      const bound = 1 / Math.sqrt(fanIn);
      for (const part of [layer.weight, layer.bias])
        part?.value.forEach((_, k, all) => {
          all[k] = (2 * uniform() - 1) * bound;
        });
      if (initialisation === "default" || layer === this.head) continue;
      if (initialisation === "he")
        values.forEach((_, k) => {
          values[k] = normal() * gain * bound;
        });
      else if (layer !== this.convolutions[0]) {
        const matrix = orthogonal(width, normal);
        values.forEach((_, k) => {
          values[k] = k % 9 === 4 ? gain * matrix[(k - 4) / 9] : 0;
        });
      } else continue; // the entry's three channels
      layer.bias?.value.fill(0);
    }
  }

  // The mean cross entropy of `images` (as `maps` has them) and their labels.
  forward(images, labels) {
    const {classes, width} = this.options,
      {weight, bias} = this.head;
    let x = this.entry.reduce((maps, layer) => layer.forward(maps), images);
    x = this.features = this.blocks.reduce((maps, block) => block.forward(maps), x);
    this.pooled = new Float64Array(labels.length * width);
    this.pooled.forEach((_, k, all) => {
      const plane = x.data.subarray(k * x.plane, (k + 1) * x.plane);
      all[k] = plane.reduce((sum, value) => sum + value) / x.size ** 2;
    });
    this.errors = new Float64Array(labels.length * classes); // of the logits
    this.right = 0;
    let loss = 0;
    labels.forEach((label, n) => {
      const logits = Array.from(bias.value, (b, c) => {
        for (let i = 0; i < width; i++)
          b += weight.value[c * width + i] * this.pooled[n * width + i];
        return b;
      });
      const most = Math.max(...logits),
        powers = logits.map(z => Math.exp(z - most));
      const sum = powers.reduce((a, b) => a + b);
      loss += (most + Math.log(sum) - logits[label]) / labels.length;
      this.right += logits.indexOf(most) === label;
      powers.forEach((power, c) => {
        this.errors[n * classes + c] = (power / sum - (c === label)) / labels.length;
      });
    });
    return loss;
  }

  backward() {
    const {classes, width} = this.options,
      {weight, bias} = this.head,
      {features, errors} = this;
    const images = errors.length / classes,
      below = (this.below ??= maps(images, width, features.size));
    weight.gradient.fill(0);
    bias.gradient.fill(0);
    for (let n = 0; n < images; n++) {
      const inputs = new Float64Array(width);
      for (let c = 0; c < classes; c++) {
        const error = errors[n * classes + c];
        bias.gradient[c] += error;
        for (let i = 0; i < width; i++) {
          weight.gradient[c * width + i] += error * this.pooled[n * width + i];
          inputs[i] += error * weight.value[c * width + i];
        }
      }
      for (let i = 0; i < width; i++) {
        const start = (n * width + i) * below.plane;
        below.data.fill(inputs[i] / features.size ** 2, start, start + below.plane);
      }
    }
    clearBorder(below);
    const above = this.blocks.reduceRight((maps, block) => block.backward(maps), below);
    this.entry.reduceRight((maps, layer) => layer.backward(maps), above);
  }
}

// The rows of a random orthogonal matrix [n, n], by Gram and Schmidt.
function orthogonal(n, normal) {
  const done = [];
  while (done.length < n) {
    const row = Array.from({length: n}, normal);
    for (const other of [...done, ...done]) {
      // twice, for rounding
      const along = row.reduce((sum, value, k) => sum + value * other[k], 0);
      row.forEach((_, k) => {
        row[k] -= along * other[k];
      });
    }
    const length = Math.hypot(...row);
    done.push(row.map(value => value / length));
  }
  return done.flat();
}

class Adam {
  // Kingma & Ba 2015, algorithm 1
  constructor(parameters, rate) {
    this.rate = rate;
    this.steps = 0;
    this.moments = parameters.map(({value, gradient}) => ({
      value,
      gradient,
      mean: value.map(() => 0),
      square: value.map(() => 0),
    }));
  }

  step() {
    const first = 1 - 0.9 ** ++this.steps,
      second = Math.sqrt(1 - 0.999 ** this.steps);
    for (const {value, gradient, mean, square} of this.moments)
      for (let k = 0; k < value.length; k++) {
        mean[k] += 0.1 * (gradient[k] - mean[k]);
        square[k] += 0.001 * (gradient[k] ** 2 - square[k]);
        const size = Math.sqrt(square[k]) / second + EPSILON.adam;
        value[k] -= ((this.rate / first) * mean[k]) / size;
      }
  }
}
