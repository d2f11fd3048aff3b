// The layers of a convolutional network in typed arrays, forwards and backwards.
//
// Feature maps [images, channels, s, s] lie in one array, each with a border of zeros, so
// that a 3 × 3 convolution is nine shifted sums over whole planes. Layers keep their arrays
// from step to step, and rectifiers work in place, so each step asks a layer once forwards
// and then once backwards. In double precision, as V8 computes anyway.
"use strict";

const LEAKY = 0.01; // the Edinburgh networks' slope
const EPSILON = {norm: 1e-5, adam: 1e-8}; // PyTorch's defaults

// Random numbers: mulberry32, uniform in [0, 1); and normal ones by Box and Muller.
function randomness(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {uniform, normal};
}

function maps(images, channels, size) {
  const plane = (size + 2) ** 2;
  return {images, channels, size, plane, data: new Float64Array(images * channels * plane)};
}

function parameter(length, value = 0) {
  return {value: new Float64Array(length).fill(value), gradient: new Float64Array(length)};
}

// Visits each row of all planes: the index of its first pixel inside the border.
function rows({images, channels, size, plane}, visit) {
  for (let start = 0; start < images * channels * plane; start += plane)
    for (let row = 1; row <= size; row++) visit(start + row * (size + 2) + 1);
}

function clearBorder(maps) {
  const {data, size, plane} = maps;
  rows(maps, at => {
    data[at - 1] = data[at + size] = 0;
  });
  for (let start = 0; start < data.length; start += plane) {
    data.fill(0, start, start + size + 2);
    data.fill(0, start + plane - size - 2, start + plane);
  }
}

// out[o] = bias[o] + Σ_i w[o, i] * x[i], with w [outputs, inputs, 3, 3]. Four outputs at a
// time, a multiple of which there must be, and a row of the kernel: few numbers are fetched
// for many products.
function convolve(x, w, bias, out) {
  const {size, plane} = x,
    line = size + 2,
    a = x.data,
    b = out.data;
  const first = line + 1,
    end = plane - line - 1,
    next = x.channels * 9;
  for (let n = 0; n < x.images; n++) {
    for (let o = 0; o < out.channels; o += 4) {
      const to = (n * out.channels + o) * plane;
      for (let j = 0; j < 4; j++)
        b.fill(bias ? bias[o + j] : 0, to + j * plane + first, to + j * plane + end);
      for (let tap = 0; tap < next; tap += 3) {
        const i = Math.floor(tap / 9),
          k = o * next + tap;
        const from = (n * x.channels + i) * plane + ((tap - 9 * i) / 3 - 1) * line;
        const k1 = k + next,
          k2 = k1 + next,
          k3 = k2 + next;
        const a0 = w[k],
          a1 = w[k + 1],
          a2 = w[k + 2];
        const b0 = w[k1],
          b1 = w[k1 + 1],
          b2 = w[k1 + 2];
        const c0 = w[k2],
          c1 = w[k2 + 1],
          c2 = w[k2 + 2];
        const d0 = w[k3],
          d1 = w[k3 + 1],
          d2 = w[k3 + 2];
        let left = a[from + first - 1],
          middle = a[from + first];
        for (let p = to + first, q = from + first + 1; p < to + end; p++, q++) {
          const right = a[q];
          b[p] += a0 * left + a1 * middle + a2 * right;
          b[p + plane] += b0 * left + b1 * middle + b2 * right;
          b[p + 2 * plane] += c0 * left + c1 * middle + c2 * right;
          b[p + 3 * plane] += d0 * left + d1 * middle + d2 * right;
          left = middle;
          middle = right;
        }
      }
    }
  }
  clearBorder(out);
}

// The gradient of w, from that of the convolution's output; two outputs at a time.
function correlate(x, output, gradient) {
  const {size, plane} = x,
    line = size + 2,
    a = x.data,
    g = output.data;
  const first = line + 1,
    end = plane - line - 1,
    next = x.channels * 9;
  gradient.fill(0);
  for (let n = 0; n < x.images; n++) {
    for (let o = 0; o < output.channels; o += 2) {
      const to = (n * output.channels + o) * plane;
      for (let tap = 0; tap < next; tap += 3) {
        const i = Math.floor(tap / 9),
          k = o * next + tap;
        const from = (n * x.channels + i) * plane + ((tap - 9 * i) / 3 - 1) * line;
        let a0 = 0,
          a1 = 0,
          a2 = 0,
          b0 = 0,
          b1 = 0,
          b2 = 0;
        let left = a[from + first - 1],
          middle = a[from + first];
        for (let p = to + first, q = from + first + 1; p < to + end; p++, q++) {
          const right = a[q],
            one = g[p],
            two = g[p + plane];
          a0 += one * left;
          a1 += one * middle;
          a2 += one * right;
          b0 += two * left;
          b1 += two * middle;
          b2 += two * right;
          left = middle;
          middle = right;
        }
        gradient[k] += a0;
        gradient[k + 1] += a1;
        gradient[k + 2] += a2;
        gradient[k + next] += b0;
        gradient[k + next + 1] += b1;
        gradient[k + next + 2] += b2;
      }
    }
  }
}

class Convolution {
  constructor(images, inputs, outputs, size, hasBias) {
    Object.assign(this, {inputs, outputs});
    this.weight = parameter(outputs * inputs * 9);
    this.bias = hasBias ? parameter(outputs) : null;
    this.out = maps(images, outputs, size);
    this.below = inputs % 4 ? null : maps(images, inputs, size); // null: of images
    this.turned = new Float64Array(outputs * inputs * 9);
  }

  forward(x) {
    this.x = x;
    convolve(x, this.weight.value, this.bias?.value, this.out);
    return this.out;
  }

  backward(gradient) {
    correlate(this.x, gradient, this.weight.gradient);
    this.bias?.gradient.set(channelSums(gradient));
    if (!this.below) return null;
    for (let o = 0; o < this.outputs; o++)
      for (let i = 0; i < this.inputs; i++)
        for (let k = 0; k < 9; k++)
          this.turned[(i * this.outputs + o) * 9 + 8 - k] =
            this.weight.value[(o * this.inputs + i) * 9 + k];
    convolve(gradient, this.turned, null, this.below);
    return this.below;
  }
}

// Batch normalisation with the minibatch's own statistics (Ioffe & Szegedy 2015).
class Normalisation {
  constructor(images, channels, size) {
    this.scale = parameter(channels, 1);
    this.shift = parameter(channels);
    this.out = maps(images, channels, size);
    this.standard = maps(images, channels, size); // before scale and shift
    this.deviation = new Float64Array(channels);
  }

  forward(x) {
    const {size, plane, channels} = x,
      count = x.images * size * size;
    const mean = channelSums(x).map(sum => sum / count);
    const square = channelSums(x, x).map(sum => sum / count);
    this.deviation = square.map((s, c) => Math.sqrt(s - mean[c] ** 2 + EPSILON.norm));
    rows(x, at => {
      const c = Math.floor(at / plane) % channels;
      const m = mean[c],
        inverse = 1 / this.deviation[c];
      const scale = this.scale.value[c],
        shift = this.shift.value[c];
      for (let p = at; p < at + size; p++) {
        this.standard.data[p] = (x.data[p] - m) * inverse;
        this.out.data[p] = this.standard.data[p] * scale + shift;
      }
    });
    return this.out;
  }

  backward(gradient) {
    const {size, plane, channels} = gradient,
      count = gradient.images * size * size;
    this.shift.gradient.set(channelSums(gradient));
    this.scale.gradient.set(channelSums(gradient, this.standard));
    rows(gradient, at => {
      const c = Math.floor(at / plane) % channels;
      const factor = this.scale.value[c] / this.deviation[c];
      const mean = this.shift.gradient[c] / count,
        slope = this.scale.gradient[c] / count;
      for (let p = at; p < at + size; p++)
        gradient.data[p] = factor * (gradient.data[p] - mean - this.standard.data[p] * slope);
    });
    return gradient;
  }
}

// Of each channel the sum over images and positions, of one array or of a product.
function channelSums(maps, times) {
  const {channels, plane, images, data} = maps,
    sums = new Float64Array(channels);
  for (let n = 0; n < images; n++)
    for (let c = 0; c < channels; c++) {
      const start = (n * channels + c) * plane;
      let sum = 0;
      if (times) for (let p = start; p < start + plane; p++) sum += data[p] * times.data[p];
      else for (let p = start; p < start + plane; p++) sum += data[p];
      sums[c] += sum;
    }
  return sums;
}

function meanSquare({data, images, channels, size}) {
  let sum = 0;
  for (let p = 0; p < data.length; p++) sum += data[p] * data[p];
  return sum / (images * channels * size * size);
}

class Rectifier {
  // leaky, in place
  constructor(slope) {
    this.slope = slope;
  }

  forward(x) {
    const data = x.data,
      slope = this.slope;
    for (let p = 0; p < data.length; p++) if (data[p] <= 0) data[p] *= slope;
    this.out = x;
    return x;
  }

  backward(gradient) {
    const data = gradient.data,
      out = this.out.data,
      slope = this.slope;
    for (let p = 0; p < data.length; p++) if (out[p] <= 0) data[p] *= slope;
    return gradient;
  }
}

class Pool {
  // the mean of 2 × 2
  constructor(images, channels, size) {
    this.out = maps(images, channels, size / 2);
    this.below = maps(images, channels, size);
  }

  // Visits each pixel of the small maps, with the first of its four in the large ones.
  each(visit) {
    const {size, plane} = this.out,
      line = 2 * size + 2;
    rows(this.out, at => {
      const map = Math.floor(at / plane),
        row = Math.floor((at % plane) / (size + 2));
      const from = map * this.below.plane + (2 * row - 1) * line + 1;
      for (let column = 0; column < size; column++) visit(at + column, from + 2 * column, line);
    });
  }

  forward(x) {
    const a = x.data,
      b = this.out.data;
    this.each((to, p, line) => {
      b[to] = (a[p] + a[p + 1] + a[p + line] + a[p + line + 1]) / 4;
    });
    return this.out;
  }

  backward(gradient) {
    const a = this.below.data,
      b = gradient.data;
    this.each((to, p, line) => {
      a[p] = a[p + 1] = a[p + line] = a[p + line + 1] = b[to] / 4;
    });
    return this.below;
  }
}
