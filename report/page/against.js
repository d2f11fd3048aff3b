// Any setting or score against any other: a scatter, a heat map of two settings, and parallel
// coordinates, of the runs that the filter shows.

function fillAgainst() {
  const names = [...ALL_DIFFERING, ...scoresOf(runs)],
    first = differing(shownRuns());
  for (const [id, chosen] of [
    ["against-x", first.includes("learning_rate") ? "learning_rate" : first[0]],
    ["against-y", "test_accuracy"],
    ["against-by", "model"],
  ]) {
    for (const name of names) $(id).append(make("option", {value: name}, titleOf(name)));
    if (names.includes(chosen)) $(id).value = chosen;
    $(id).addEventListener("input", drawAgainst);
  }
  $("against-kind").addEventListener("input", drawAgainst);
}

function drawAgainst() {
  const place = $("against"),
    those = shownRuns();
  place.plotted = null;
  place.replaceChildren();
  if (!those.length) place.append(make("p", {class: "empty"}, "No run is shown above."));
  else ({scatter, heat, parallel})[$("against-kind").value](place, those);
}

// A setting's place on an axis: its value, or the number of its name among those there are.
function axisOf(those, name) {
  const values = those.map(run => valueAt(run, name)),
    numbers = values.every(value => value === null || typeof value === "number");
  const names = [...new Set(values.map(value => value ?? "–"))].sort(compareValues);
  if (numbers) {
    const found = values.filter(value => value > 0);
    const wide = Math.max(...found) > 100 * Math.min(...found); // of losses that diverged
    const log =
      SCORES[name]?.[1] || name.includes("learning_rate") || (name.includes("loss") && wide);
    return {of: run => valueAt(run, name) ?? NaN, axis: {title: titleOf(name), log}};
  }
  return {
    of: run => names.indexOf(valueAt(run, name) ?? "–"),
    axis: {
      title: titleOf(name),
      range: [-0.5, names.length - 0.5],
      ticks: names.map((text, k) => [k, String(text).slice(0, 12)]),
    },
  };
}

// The runs by a setting: as many groups as there are colours, the last of what is left.
function groupsBy(those, name) {
  const groups = [...grouped(those, run => textAt(run, name))].sort(([a], [b]) =>
    compareValues(a, b),
  );
  const named = groups.map(([text, same]) => [`${titleOf(name)} ${text || "–"}`, same]);
  if (named.length <= MOST) return named;
  const rest = named.slice(MOST - 1).flatMap(([, same]) => same);
  return [...named.slice(0, MOST - 1), [`${titleOf(name)} other`, rest]];
}

function coloured(groups) {
  const looks = looksOf(groups.map(([, same]) => same));
  return groups.map(([name, same], k) => ({name, same, look: looks[k]}));
}

function scatter(place, those) {
  const x = axisOf(those, $("against-x").value),
    y = axisOf(those, $("against-y").value),
    by = $("against-by").value;
  plot(place, {
    label: `${y.axis.title} against ${x.axis.title}`,
    x: x.axis,
    y: y.axis,
    lines: coloured(groupsBy(those, by)).map(({name, same, look}) => ({
      name,
      ...look,
      only: "points",
      x: same.map(x.of),
      y: same.map(y.of),
      texts: same.map(run => `${run.label}, ${textAt(run, $("against-x").value)}`),
    })),
  });
}

// A table whose cells are coloured by the mean of the score over their runs.
function heat(place, those) {
  const [x, y, score] = ["against-x", "against-by", "against-y"].map(id => $(id).value);
  const texts = name => {
    const values = [...new Set(those.map(run => valueAt(run, name)))].sort(compareValues);
    return [...new Set(values.map(value => asText(value, name)))];
  };
  const [across, down] = [texts(x), texts(y)];
  const cell = (row, column) => {
    const same = those.filter(
      run =>
        textAt(run, x) === column &&
        textAt(run, y) === row &&
        typeof valueAt(run, score) === "number",
    );
    return same.length ? {value: average(same.map(run => valueAt(run, score))), same} : null;
  };
  const cells = down.map(row => across.map(column => cell(row, column)));
  const mixed = ALL_DIFFERING.filter(
    name =>
      name !== "seed" &&
      cells.flat().some(found => new Set(found?.same.map(run => textAt(run, name))).size > 1),
  );
  const all = cells
    .flat()
    .filter(Boolean)
    .map(({value}) => value);
  if (!all.length) {
    place.append(
      make("p", {class: "empty"}, `${titleOf(score)} is no number to average: choose another.`),
    );
    return;
  }
  const named = mixed.slice(0, 4).map(titleOf).join(", "),
    others = mixed.length > 4 ? ` and ${mixed.length - 4} more` : "";
  const over = named ? `runs that may differ in ${named}${others}` : "seeds";
  const low = Math.min(...all),
    high = Math.max(...all);
  const table = make(
    "table",
    {class: "heat"},
    make(
      "caption",
      {},
      `${titleOf(score)}, mean over ${over}; across ${titleOf(x)}, down ${titleOf(y)}`,
    ),
    make(
      "thead",
      {},
      make("tr", {}, make("th"), ...across.map(text => make("th", {}, text || "–"))),
    ),
  );
  table.append(
    make(
      "tbody",
      {},
      ...cells.map((row, r) =>
        make(
          "tr",
          {},
          make("th", {scope: "row"}, down[r] || "–"),
          ...row.map(found => {
            if (!found) return make("td");
            const share = high > low ? (found.value - low) / (high - low) : 0.5;
            const made = make(
              "td",
              {
                class: share > 0.43 ? "bright" : "dim",
                title: `${found.same.length} run${found.same.length > 1 ? "s" : ""}`,
              },
              number(found.value),
            );
            made.style.backgroundColor = viridis(share);
            return made;
          }),
        ),
      ),
    ),
  );
  place.append(make("div", {class: "scroll"}, table));
}

// Matplotlib's viridis, between five of its colours.
const VIRIDIS = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];
function viridis(share) {
  const place = Math.min(3.999, Math.max(0, share) * 4),
    k = Math.floor(place);
  const mixed = VIRIDIS[k].map((from, c) =>
    Math.round(from + (place - k) * (VIRIDIS[k + 1][c] - from)),
  );
  return `rgb(${mixed.join(" ")})`;
}

function valueAndScore(run, name, score) {
  const [value, end] = [name, score].map(one => textAt(run, one) || "–");
  return name === score ? value : `${value}; ${titleOf(score)} ${end}`;
}

// A vertical axis for each of the settings in which the runs differ and for the score, as
// many as have room; a line a run.
function parallel(place, those) {
  const [by, against, score] = ["against-by", "against-x", "against-y"].map(id => $(id).value);
  const settings = new Set([by, against, ...differing(those).filter(n => n !== "seed")]);
  settings.delete(score);
  const most = Math.max(2, Math.min(6, Math.floor(place.clientWidth / 120)));
  const names = [...[...settings].slice(0, most), score];
  const axes = names.map(name => {
    const {of, axis: form} = axisOf(those, name);
    return {of, ...axis(form, those.map(of), 5)};
  });
  const ofRuns = coloured(groupsBy(those, by)).flatMap(({name, same, look: {colour}}) => [
    {name, colour, only: "line", x: [], y: []},
    ...same.map(run => ({
      name: `${run.study}: ${run.label}`,
      quiet: true,
      thin: true,
      only: "line",
      colour,
      x: names.map((_, k) => k),
      y: axes.map(one => one.place(one.of(run))),
      texts: names.map(titleOf),
      values: names.map(name => valueAndScore(run, name, score)),
    })),
  ]);
  plot(place, {
    label: `${those.length} runs by ${names.map(titleOf).join(", ")}`,
    x: {
      title: "",
      kind: "axis",
      range: [-0.4, names.length - 0.6],
      ticks: names.map((name, k) => [k, titleOf(name)]),
    },
    y: {title: "", range: [0, 1], ticks: []},
    lines: ofRuns,
    labels: axes.flatMap(({ticks, place}, x) =>
      ticks
        .filter((_, n) => n % Math.ceil(ticks.length / 12) === 0)
        .map(([value, text]) => ({x, y: place(value), text})),
    ),
  });
}
