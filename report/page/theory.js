// The closed forms under the reader's hand: sliders for depth, slope and initialisation,
// switches for the remedies, and behind the law what was measured in runs of that setting.

const COURSE = {
  slope: 0.01,
  initialisation: "default",
  width: 32,
  size: 32,
  classes: 100,
  images: 100,
};
// Classes and images of the minibatch as they were measured; the gradient of the logits of a
// uniform guess tells how many images there were.
for (const {classes, gradient} of data.signals
  .filter(run => !run.norm && !run.shortcut)
  .slice(0, 1))
  Object.assign(COURSE, {
    classes,
    images: Math.round(Math.sqrt((1 - 1 / classes) / classes / gradient.at(-1))),
  });
const REMEDIES = [
  // of four networks, as they are named and coloured on the whole page
  {name: "VGG38", norm: false, shortcut: false},
  {name: "VGG38 BN", norm: true, shortcut: false},
  {name: "VGG38 RC", norm: false, shortcut: true},
  {name: "VGG38 BN+RC", norm: true, shortcut: true},
];

const convolutionsOf = blocks => 7 + 6 * blocks;
const nameOf = ({blocks, norm, shortcut}) =>
  `VGG${String(convolutionsOf(blocks) + 1).padStart(2, "0")} ${[norm && "BN", shortcut && "RC"].filter(Boolean).join("+")}`.trim();

// The measured runs whose setting this is; of a slope the nearest that is printed alike.
function measuredFor(options) {
  const deep = convolutionsOf(options.blocks);
  const slopeOf = ({slope, eta}) => slope ?? (eta ? tailoredSlope(eta, deep) : COURSE.slope);
  return data.signals.filter(
    run =>
      run.layer.length === deep + 1 &&
      run.norm === options.norm &&
      run.shortcut === options.shortcut &&
      run.initialisation === options.initialisation &&
      Math.abs(slopeOf(run) - options.slope) < 0.011,
  );
}

// Points for each study's runs of a setting, the mean over seeds; named once.
function measuredLines(runs, quantity, colour, name = "") {
  const many = `${runs.length} run${runs.length > 1 ? "s" : ""}`;
  return [...grouped(runs, run => run.study).values()].map((same, number) => ({
    name: `${name}measured (${many})`,
    quiet: number > 0,
    x: same[0].layer.map((_, k) => k + 1),
    texts: same[0].layer.map(layer => `${layer} (${same[0].study})`),
    y: same[0].layer.map((_, k) =>
      Math.exp(average(same.map(run => Math.log(run[quantity][k])))),
    ),
    only: "points",
    colour,
  }));
}

const decadesBetween = (first, last) => Math.log10(last / first);

function lawLine(law, quantity, name, colour, more = {}) {
  return {
    name,
    x: law.layers.map((_, k) => k + 1),
    y: law[quantity],
    texts: law.layers.map(l => l.name),
    only: "line",
    colour,
    ...more,
  };
}

function theoryOptions() {
  const blocks = Number($("theory-depth").value),
    tailored = $("theory-tailored").checked;
  if (tailored) $("theory-slope").value = tailoredSlope(0.9, convolutionsOf(blocks));
  return {
    ...COURSE,
    blocks,
    slope: Number($("theory-slope").value),
    initialisation: $("theory-initialisation").value,
    norm: $("theory-bn").checked,
    shortcut: $("theory-rc").checked,
  };
}

// The same axis for all settings, so that a curve is seen to move; longer where it must be.
function reaching([low, high], values) {
  const there = values.filter(value => value > 0);
  return [Math.min(low, ...there), Math.max(high, ...there)];
}

function drawTheory() {
  const options = theoryOptions(),
    law = lawOf(options),
    runs = measuredFor(options),
    own = Number(options.norm) + 2 * Number(options.shortcut); // the network's colour
  tellSlider("theory-depth", `${convolutionsOf(options.blocks) + 1} layers`);
  tellSlider("theory-slope", options.slope.toFixed(2));
  const x = {title: "layer, from input to output", range: [0.5, law.layers.length + 0.5]};
  plot($("theory-signal"), {
    label: `Mean square of the signal by layer of ${nameOf(options)}`,
    x,
    y: {
      title: "mean square of the signal",
      log: true,
      range: reaching([1e-13, 1e2], law.signal),
    },
    lines: [lawLine(law, "signal", "closed form", own), ...measuredLines(runs, "signal", 4)],
  });
  plot($("theory-gradient"), {
    label: `Mean square of the gradient by layer of ${nameOf(options)}`,
    x,
    y: {
      title: "mean square of the gradient",
      log: true,
      range: reaching([1e-43, 1e-3], law.gradient),
    },
    lines: [
      lawLine(law, "gradient", "closed form", own),
      ...measuredLines(runs, "gradient", 4),
      lawLine(law, "floor", "below this line Adam's ε holds the weights still", 5, {
        dashed: true,
      }),
    ],
  });
  $("theory-said").textContent = theorySentence(options, law, runs);
}

function theorySentence(options, law, runs) {
  const {gradient, floor} = law,
    last = gradient.length - 2;
  const lost = decadesBetween(gradient[1], gradient[last]);
  const before =
    lost >= 0
      ? `falls by ${lost.toFixed(1)} decades`
      : `grows by ${(-lost).toFixed(1)} decades`;
  const measured = runs
    .map(run => decadesBetween(run.gradient[1], run.gradient[last]))
    .filter(Number.isFinite);
  const beside = measured.length
    ? `; measured: ${Math.abs(average(measured)).toFixed(1)} (${measured.length} run${measured.length > 1 ? "s" : ""})`
    : "; no run of this page has been measured there";
  const still = gradient.filter((g, k) => g < floor[k]).length;
  const sizes = gradient.map((g, k) => 1e-8 * Math.sqrt(g / floor[k])); // of a weight's gradient
  const frozen = still
    ? `In ${still} of ${last + 1} layers a weight's gradient is then below Adam's ε of 10⁻⁸, at the least about ${number(Math.min(...sizes.slice(1)))}: they hardly move.`
    : "No weight's gradient is then below Adam's ε of 10⁻⁸.";
  const cosine =
    options.norm || options.shortcut || options.initialisation === "default"
      ? ""
      : ` Two unlike images end with features of cosine ${lastCosine(options.slope, last + 1).toFixed(3)}.`;
  return `${nameOf(options)}: from the last convolution to the first behind the entry the gradient's mean square ${before}${beside}. ${frozen}${cosine}`;
}

// All four networks at once, law and points, and how far these are from each other.
function drawRemedies() {
  const missed = [];
  const lines = REMEDIES.flatMap(({name, ...remedy}, colour) => {
    const options = {...COURSE, blocks: 5, ...remedy},
      law = lawOf(options);
    const points = measuredLines(measuredFor(options), "gradient", colour, `${name}, `);
    const apart = points.flatMap(({y}) =>
      y.map((value, k) => Math.abs(decadesBetween(value, law.gradient[k]))),
    );
    if (points.length)
      missed.push(
        `${Math.max(...apart.filter(Number.isFinite)).toFixed(1)} decades for ${name}`,
      );
    return [lawLine(law, "gradient", `${name}, closed form`, colour), ...points];
  });
  if (missed.length)
    $("remedies-missed").textContent =
      `Nothing is fitted. In no layer is a closed form further from the points than ${missed.join(", ")}.`;
  plot($("remedies"), {
    label: "Mean square of the gradient by layer of VGG38 and its remedies",
    lines,
    x: {title: "layer, from input to output", range: [0.5, 38.5]},
    y: {title: "mean square of the gradient", log: true},
  });
}

if ($("theory")) {
  $("theory-images").textContent = COURSE.images;
  $("theory-slope").addEventListener("input", () => {
    $("theory-tailored").checked = false;
  });
  $("theory-tailored").addEventListener("input", () => {
    if (!$("theory-tailored").checked) $("theory-slope").value = COURSE.slope;
  });
  $("theory").addEventListener("input", drawTheory); // behind its controls' own
  remember($("theory"));
  drawTheory();
}
if ($("remedies")) drawRemedies();
