// The runs to explore: one table, filtered and sorted, whose ticks choose what is drawn as
// curves; and two settings compared by what differs.

const SCORES = {
  // by name: how it is printed, and whether its axis is logarithmic
  test_accuracy: ["test accuracy"],
  val_accuracy: ["validation accuracy"],
  final_train_loss: ["final training loss"],
  test_loss: ["test loss"],
  parameters: ["parameters", true],
  seconds_training: ["seconds of training", true],
};
const METRICS = {
  train_loss: "training loss",
  val_loss: "validation loss",
  train_accuracy: "training accuracy",
  val_accuracy: "validation accuracy",
};
const MOST = 8; // settings that are ticked by themselves, as many as there are colours
const runs = data.curves;
const byName = new Map(runs.map(run => [run.run, run]));
const ticked = new Set();

const titleOf = name => SCORES[name]?.[0] ?? name.replaceAll("_", " ");
const valueAt = (run, name) =>
  name in SCORES ? run.scores[name] : (run.settings[name] ?? null);
function asText(value, name) {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  return value && name.endsWith("learning_rate") ? scientific(value) : number(value);
}
const textAt = (run, name) => asText(valueAt(run, name), name);

// The settings in which these runs differ, the most telling ones first.
function differing(those) {
  const first = ["model", "variant", "learning_rate"];
  const names = new Set([...first, ...those.flatMap(run => Object.keys(run.settings))]);
  return [...names].filter(name => new Set(those.map(run => textAt(run, name))).size > 1);
}

const ALL_DIFFERING = differing(runs);
const scoresOf = those =>
  Object.keys(SCORES).filter(name => those.some(run => valueAt(run, name) !== null));

// The runs in whose name, folder or settings every word of the search is found.
function foundRuns() {
  const words = $("explore-find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const said = run =>
    [run.label, run.run, ...Object.entries(run.settings).map(([k, v]) => `${k}=${v}`)]
      .join(" ")
      .toLowerCase();
  return runs.filter(run => words.every(word => said(run).includes(word)));
}

function shownRuns() {
  const study = $("explore-study").value;
  return foundRuns().filter(run => !study || run.study === study);
}

const withoutSeed = run => run.label.replace(/, seed \d+$/, "");
const settingOf = run => `${run.study}: ${withoutSeed(run)}`;
const seedsOf = same => (same.length > 1 ? `, ${same.length} seeds` : "");

// Ticks what the address names, or else the first settings of what is shown.
function tickFirst() {
  ticked.clear();
  const kept = $("explore-ticked").value;
  const first = kept
    ? kept.split(" ").map(name => byName.get(name))
    : [...grouped(shownRuns(), settingOf).values()].slice(0, MOST).flat();
  for (const run of first) if (run) ticked.add(run);
}

function keepTicks() {
  keep("explore-ticked", [...ticked].map(run => run.run).join(" ") || "none");
  drawTicked();
}

// The table's columns: those that the reader has ticked, or what tells these runs apart.
function columnsFor(shown) {
  const study = $("explore-study").value ? [] : ["study"],
    [run, ...chosen] = $("explore-chosen").value.split(" ");
  const columns = run
    ? chosen
    : [...study, ...differing(shown).slice(0, 8), ...scoresOf(shown)];
  const all = ["study", ...ALL_DIFFERING, ...Object.keys(SCORES)];
  $("explore-columns").replaceChildren(
    ...all.map(name => {
      const box = make("input", {type: "checkbox", "data-key": `column ${name}`});
      box.checked = columns.includes(name);
      box.addEventListener("change", () => {
        const now = all.filter(other =>
          other === name ? box.checked : columns.includes(other),
        );
        keep("explore-chosen", ["run", ...now].join(" "));
        listRuns();
      });
      return make("label", {}, box, titleOf(name));
    }),
  );
  return columns;
}

// The table anew; what had the keyboard's focus in it has it again.
function listRuns() {
  const key = document.activeElement?.dataset.key;
  fillTable();
  if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function fillTable() {
  const shown = shownRuns(),
    columns = columnsFor(shown),
    [sorted, down] = $("explore-sort").value.split(" "); // a column, and whether downwards
  const at = (run, name) => (name === "study" ? run.study : valueAt(run, name));
  if (columns.includes(sorted))
    shown.sort((a, b) => compareValues(at(a, sorted), at(b, sorted), down));
  $("explore-count").textContent =
    shown.length === runs.length
      ? `${runs.length} runs, ${ticked.size} ticked`
      : `${shown.length} of ${runs.length} runs, ${ticked.size} ticked`;
  if (!shown.length) {
    const others = foundRuns().length;
    $("explore-runs").replaceChildren(
      make(
        "p",
        {class: "empty"},
        `No run matches “${$("explore-find").value}”.${others ? ` Of other studies: ${others}.` : ""}`,
      ),
    );
    return;
  }
  const head = make("tr", {}, make("th"), make("th", {}, "run"));
  for (const name of columns) {
    const button = make("button", {"data-key": `sort ${name}`}, titleOf(name));
    const isSorted = sorted === name;
    button.addEventListener("click", () => {
      keep("explore-sort", isSorted && !down ? `${name} down` : name);
      listRuns();
    });
    const order = isSorted ? (down ? "descending" : "ascending") : "none";
    head.append(make("th", {"aria-sort": order}, button));
  }
  const body = make("tbody");
  for (const run of shown) {
    const box = make("input", {
      type: "checkbox",
      "aria-label": run.label,
      "data-key": run.run,
    });
    box.checked = ticked.has(run);
    box.addEventListener("change", () => {
      ticked[box.checked ? "add" : "delete"](run);
      keepTicks();
    });
    body.append(
      make(
        "tr",
        {},
        make("td", {}, box),
        make("td", {}, make("a", {href: `runs/${run.run}/run.json`}, run.label)),
        ...columns.map(name =>
          make("td", {}, name === "study" ? run.study : textAt(run, name)),
        ),
      ),
    );
  }
  $("explore-runs").replaceChildren(make("table", {}, make("thead", {}, head), body));
}

const collator = new Intl.Collator("en", {numeric: true});
// The order of two cells, the other way round if `down`; empty ones are always last.
function compareValues(a, b, down = false) {
  const isEmpty = value => value === null || value === "";
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b);
  const numbers = typeof a === "number" && typeof b === "number";
  return (numbers ? a - b : collator.compare(a, b)) * (down ? -1 : 1);
}

// Curves of these runs: the mean over a setting's seeds, with a band from the lowest to the
// highest; or each by itself.
function curveLines(those, metric, together = true) {
  const several = new Set(those.map(run => run.study)).size > 1;
  const groups = [...grouped(those, together ? settingOf : run => run).values()],
    looks = looksOf(groups, 2);
  return groups.map((same, index) => {
    const [run] = same;
    const epochs = run.epoch.slice(0, Math.min(...same.map(one => one.epoch.length)));
    const values = epochs.map((_, k) =>
      same.map(one => one[metric][k]).filter(value => value !== null),
    );
    const short = together ? withoutSeed(run) : run.label;
    const line = {
      name: `${several ? `${run.study}: ` : ""}${short}${seedsOf(same)}`,
      ...looks[index],
      x: epochs,
      y: values.map(all => (all.length ? average(all) : NaN)),
    };
    if (same.length > 1)
      Object.assign(line, {
        low: values.map(all => Math.min(...all)),
        high: values.map(all => Math.max(...all)),
      });
    return line;
  });
}

// How groups of runs are drawn: in their networks' own colours, as in every figure, if no
// more than `most` share one, the second of which is dashed; else each in the next colour.
function looksOf(groups, most = 1) {
  const own = groups.map(same => {
    const [colour, ...more] = new Set(same.map(ownColour));
    return more.length ? null : colour;
  });
  const before = own.map((colour, k) => own.slice(0, k).filter(c => c === colour).length);
  if (own.includes(null) || Math.max(...before) >= most)
    return groups.map((_, k) => ({colour: k, dashed: k >= MOST}));
  return own.map((colour, k) => ({colour, dashed: before[k] > 0}));
}

function ownColour({settings: {variant, model}}) {
  const network = variant ? null : /^vgg(\d\d|-a)(-bn)?(-rc)?$/.exec(model);
  return network && Boolean(network[2]) + 2 * Boolean(network[3]) + 4 * (network[1] === "08");
}

function drawCurves(id, lines, metric, log = false, marks = []) {
  if (!lines.length) {
    $(id).plotted = null;
    $(id).replaceChildren(make("p", {class: "empty"}, "Nothing is ticked."));
    return;
  }
  plot($(id), {
    label: `${METRICS[metric]} by epoch`,
    lines,
    marks,
    x: {title: "epoch"},
    y: {title: METRICS[metric], log},
  });
}

function drawTicked() {
  const metric = $("explore-metric").value,
    those = runs.filter(run => ticked.has(run));
  drawCurves(
    "explore-curves",
    curveLines(those, metric, $("explore-seeds").checked),
    metric,
    $("explore-log").checked,
  );
  listRuns();
}

// What differs between two settings, and their scores, each over its seeds.
function compareTwo() {
  const sides = ["compare-a", "compare-b"].map(id => {
    const chosen = settingOf(byName.get($(id).value));
    return runs.filter(run => settingOf(run) === chosen);
  });
  const body = make("tbody");
  for (const name of [
    ...differing(sides.flat()).filter(name => name !== "seed"),
    ...Object.keys(SCORES),
  ]) {
    const texts = sides.map(same => {
      const values = same.map(run => valueAt(run, name)).filter(value => value !== null);
      if (!(name in SCORES) || values.length < 2)
        return [...new Set(values.map(value => asText(value, name)))].join(", ");
      const [least, most] = [Math.min(...values), Math.max(...values)].map(number);
      return least === most ? least : `${number(average(values))} (${least} to ${most})`;
    });
    if (texts.some(Boolean))
      body.append(
        make(
          "tr",
          {},
          make("th", {scope: "row"}, titleOf(name)),
          ...texts.map(text => make("td", {}, text || "–")),
        ),
      );
  }
  const head = make(
    "tr",
    {},
    make("th"),
    ...sides.map(same => make("th", {}, withoutSeed(same[0]) + seedsOf(same))),
  );
  $("explore-compare").replaceChildren(make("table", {}, make("thead", {}, head), body));
}

if (runs.length) {
  for (const study of new Set(runs.map(run => run.study)))
    $("explore-study").append(make("option", {}, study));
  $("explore-study").value = runs[0].study;
  const refilter = () => {
    tickFirst();
    drawTicked();
    drawAgainst();
  };
  for (const id of ["explore-study", "explore-find"])
    $(id).addEventListener("input", () => {
      $("explore-ticked").value = "";
      refilter();
    });
  for (const id of ["explore-metric", "explore-seeds", "explore-log"])
    $(id).addEventListener("input", drawTicked);
  $("explore-all").addEventListener("click", () => {
    shownRuns().forEach(run => ticked.add(run));
    keepTicks();
  });
  $("explore-none").addEventListener("click", () => {
    ticked.clear();
    keepTicks();
  });
  fillMenus(
    ["compare-a", "compare-b"],
    [...grouped(runs, settingOf).values()].map(([run]) => ({...run, label: withoutSeed(run)})),
  );
  for (const id of ["compare-a", "compare-b"]) $(id).addEventListener("input", compareTwo);
  fillAgainst();
  remember($("explore"));
  refilter();
  compareTwo();
}

// The story's curves: some of a study's networks, at its lowest rate, in their own colours.
for (const place of document.querySelectorAll("[data-curves]")) {
  const wanted = place.dataset.models.split(",");
  const those = runs.filter(
    run => run.study === place.dataset.curves && wanted.includes(run.settings.model),
  );
  const lowest = Math.min(...those.map(run => run.settings.learning_rate));
  const lines = curveLines(
    those.filter(run => run.settings.learning_rate === lowest),
    "train_loss",
  );
  const guess = {y: Number(place.dataset.guess), text: "a uniform guess"};
  drawCurves(place.id, lines, "train_loss", false, [guess]);
}
