// A deep network that trains while one looks: network.js in a worker of the page's own; what
// it reports is drawn as loss, gradient by layer and feature images.

const LIVE = {steps: 200, rate: 2e-3, images: 12, classes: 10}; // of a minibatch; see tests
const CHOICES = {
  // by button: the plain network, and one remedy each
  plain: {name: "plain", colour: 0},
  bn: {name: "batch normalisation", norm: true, colour: 1},
  rc: {name: "residual connections", shortcut: true, colour: 2},
  tailored: {
    name: "tailored slope, He's kernels",
    initialisation: "he",
    tailored: true,
    colour: 4,
  },
  delta: {
    name: "tailored slope, delta-orthogonal kernels",
    initialisation: "delta-orthogonal",
    tailored: true,
    colour: 3,
  },
};
const trainings = new Map(); // by choice and depth: what was seen of each
let worker = null;

function startLive(choice) {
  const blocks = Number($("live-depth").value),
    {name, tailored, colour, ...remedy} = CHOICES[choice];
  const slope = tailored ? tailoredSlope(0.9, convolutionsOf(blocks)) : COURSE.slope;
  const options = {...remedy, blocks, slope, images: LIVE.images, seed: 0};
  stopLive();
  const source = $("worker").textContent;
  const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  worker = new Worker(address);
  URL.revokeObjectURL(address);
  const layers = layersOf({blocks, size: 16, width: 8});
  const training = {
    name: `${convolutionsOf(blocks) + 1} layers, ${name}`,
    losses: [],
    choice,
    layers,
  };
  trainings.set(training.name, training);
  const began = performance.now();
  worker.onmessage = ({data: report}) => {
    training.losses.push(...report.losses);
    training.gradients = report.gradients;
    drawFeatures(report.features);
    drawLive();
    sayLive(training, report.step, (performance.now() - began) / 1000);
    if (report.step === LIVE.steps) stopLive();
  };
  worker.onerror = event => {
    $("live-said").textContent = `The network stopped: ${event.message}`;
  };
  worker.postMessage({options, rate: LIVE.rate, steps: LIVE.steps});
  for (const button of document.querySelectorAll("#live [data-choice]"))
    button.ariaPressed = button.dataset.choice === choice;
  $("live-stop").disabled = false;
  $("live-said").textContent = `${training.name}: the first step is being computed.`;
}

function stopLive() {
  worker?.terminate();
  worker = null;
  $("live-stop").disabled = true;
}

// The mean over the last 20 steps, of so small minibatches.
const smooth = losses =>
  losses.map((_, k) => average(losses.slice(Math.max(0, k - 19), k + 1)));

function sayLive(training, step, seconds) {
  const loss = smooth(training.losses).at(-1),
    guess = Math.log(LIVE.classes);
  const fallen = 1 - loss / guess;
  const ends =
    fallen >= 0.2
      ? "it trains"
      : fallen < 0.02
        ? "it refuses. Now press a remedy"
        : "it has begun to train";
  const verdict = step === LIVE.steps ? `: ${ends}` : "";
  const size = fallen < 0.005 ? "no lower than" : `${(100 * fallen).toFixed(0)} % below`;
  $("live-said").ariaLive = verdict ? "polite" : "off"; // read aloud once, at the end
  Object.assign($("live-said").dataset, {step, loss, choice: training.choice});
  $("live-said").textContent =
    `${training.name}: after ${step} of ${LIVE.steps} steps (${seconds.toFixed(0)} s) the loss is ` +
    `${loss.toFixed(2)}, ${size} the ${guess.toFixed(2)} of a guess${verdict}.`;
}

function drawLive() {
  const all = [...trainings.values()].filter(training => training.losses.length);
  const look = ({choice, layers}) => ({
    colour: CHOICES[choice].colour,
    dashed: layers.length < 38, // another depth
  });
  plot($("live-loss"), {
    label: "Loss by step of the networks trained in this page",
    x: {title: "step", range: [0, LIVE.steps]},
    y: {title: "loss, mean of 20 minibatches", range: [0.8, 2.6]},
    marks: [{y: Math.log(LIVE.classes), text: "a uniform guess"}],
    lines: all.map(training => ({
      name: training.name,
      x: training.losses.map((_, k) => k + 1),
      y: smooth(training.losses),
      only: "line",
      ...look(training),
    })),
  });
  plot($("live-gradient"), {
    label: "Mean absolute gradient of the weights by layer",
    x: {title: "layer, from input to output", range: [0.5, 38.5]},
    y: {title: "mean absolute gradient", log: true, range: [1e-22, 1]},
    marks: [{y: 1e-8, text: "Adam's ε"}],
    lines: all.map(training => ({
      name: training.name,
      x: training.layers.map((_, k) => k + 1),
      y: training.gradients,
      texts: training.layers.map(layer => layer.name),
      ...look(training),
    })),
  });
}

// A column a picture, a row a depth.
function drawFeatures(features) {
  $("live-pictures").hidden = false;
  const canvas = $("live-features"),
    cell = 48,
    gap = 4;
  const count = features[0].colours.length / 4 / features[0].size ** 2;
  canvas.width = count * (cell + gap) - gap;
  canvas.height = features.length * (cell + gap) - gap;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  features.forEach(({size, colours}, row) => {
    for (let n = 0; n < count; n++) {
      const small = new OffscreenCanvas(size, size),
        length = size * size * 4;
      small
        .getContext("2d")
        .putImageData(
          new ImageData(colours.slice(n * length, (n + 1) * length), size, size),
          0,
          0,
        );
      context.drawImage(small, n * (cell + gap), row * (cell + gap), cell, cell);
    }
  });
}

if ($("live")) {
  for (const button of document.querySelectorAll("#live [data-choice]"))
    button.addEventListener("click", () => startLive(button.dataset.choice));
  $("live-stop").addEventListener("click", () => {
    stopLive();
    $("live-said").textContent += " Stopped.";
  });
  const tellDepth = () => {
    const blocks = Number($("live-depth").value);
    tellSlider("live-depth", `${convolutionsOf(blocks) + 1} layers`);
  };
  $("live-depth").addEventListener("input", () => {
    tellDepth();
    if (!worker)
      $("live-said").textContent = `Press a button to train ${$("live-depth").ariaValueText}.`;
  });
  remember($("live"));
  tellDepth();
  drawLive();
  // Who scrolls by sees it refuse, unless motion is not wanted.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches)
    new IntersectionObserver(
      (entries, observer) => {
        if (!entries.some(entry => entry.isIntersecting)) return;
        observer.disconnect();
        if (!trainings.size) startLive("plain");
      },
      {threshold: 0.6},
    ).observe($("live-loss"));
}
