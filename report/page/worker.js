// In a worker, behind the network's sources: one message starts a training, and every few
// steps the page is told how it goes.

const EVERY = 5,
  SHOWN = 6, // steps, pictures
  LANDING = 60; // steps in which the rate falls to zero

onmessage = ({data: {options, rate, steps}}) => {
  const network = new Network(options),
    adam = new Adam(network.parameters, rate);
  const batches = minibatches(pictures(500, randomness(1)), options.images, randomness(2));
  const shown = pictures(options.images, randomness(3)); // always the same
  let losses = [];
  for (let step = 1; step <= steps; step++) {
    const {images, labels} = batches.next();
    losses.push(network.forward(images, labels));
    network.backward();
    adam.rate = rate * Math.min(1, (steps + 1 - step) / LANDING);
    adam.step();
    if (step === 1 || step % EVERY === 0) {
      const gradients = [...network.convolutions, network.head].map(({weight}) =>
        absoluteMean(weight.gradient),
      );
      network.forward(shown.images, shown.labels);
      postMessage({step, losses, gradients, features: features(network, shown.images)});
      losses = [];
    }
  }
};

function absoluteMean(values) {
  return values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
}

// What the first pictures are at the entry and at the end of each stage: the first three
// channels as colours, each about its mean over all pictures, in units of the root of the
// whole mean square. Where all pictures give the same features nothing is left to see.
function features(network, images) {
  const stages = network.blocks.filter((_, n) => (n + 1) % (network.options.blocks + 1) === 0);
  return [images, network.entry.at(-1).out, ...stages.map(block => block.last.out)].map(
    maps => {
      const {size, plane, channels, data} = maps,
        unit = 2.5 * Math.sqrt(meanSquare(maps)) || 1;
      const means = channelSums(maps).map(sum => sum / (maps.images * size * size));
      const colours = new Uint8ClampedArray(SHOWN * size * size * 4).fill(255);
      for (let n = 0; n < SHOWN; n++)
        for (let p = 0; p < size * size; p++)
          for (let c = 0; c < 3; c++) {
            const at =
              (n * channels + c) * plane +
              (Math.floor(p / size) + 1) * (size + 2) +
              (p % size) +
              1;
            colours[(n * size * size + p) * 4 + c] = 128 + (127 * (data[at] - means[c])) / unit;
          }
      return {size, colours};
    },
  );
}
