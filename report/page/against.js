// Any setting or score against any other: a scatter, a heat map of two settings, and parallel
// coordinates, of the runs that the filter shows.

function fillAgainst() {
  const names = [...ALL_DIFFERING, ...scoresOf(runs)];
  for (const [id, chosen] of [
    ["against-x", "learning_rate"],
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

function scatter(place, those) {
  const x = axisOf(those, $("against-x").value),
    y = axisOf(those, $("against-y").value),
    by = $("against-by").value;
  plot(place, {
    label: `${y.axis.title} against ${x.axis.title}`,
    x: x.axis,
    y: y.axis,
    lines: groupsBy(those, by).map(([name, same]) => ({
      name,
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
    return [...new Set(values.map(value => asText(value)))];
  };
  const [across, down] = [texts(x), texts(y)];
  const cell = (row, column) => {
    const values = those
      .filter(run => textAt(run, x) === column && textAt(run, y) === row)
      .map(run => valueAt(run, score))
      .filter(value => typeof value === "number");
    return values.length ? {value: average(values), count: values.length} : null;
  };
  const cells = down.map(row => across.map(column => cell(row, column)));
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
  const low = Math.min(...all),
    high = Math.max(...all);
  const table = make(
    "table",
    {class: "heat"},
    make(
      "caption",
      {},
      `${titleOf(score)}, mean over runs; across ${titleOf(x)}, down ${titleOf(y)}`,
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
                class: share > 0.55 ? "bright" : "dim",
                title: `${found.count} run${found.count > 1 ? "s" : ""}`,
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

// A vertical axis for each setting in which the runs differ and for the score; a line a run.
function parallel(place, those) {
  const score = $("against-y").value,
    groups = groupsBy(those, $("against-by").value);
  const names = [
    ...differing(those)
      .filter(name => name !== "seed" && name !== score)
      .slice(0, 6),
    score,
  ];
  const axes = names.map(name => {
    const {of, axis: form} = axisOf(those, name);
    return {name, of, ...axis(form, those.map(of), 5)};
  });
  const width = place.clientWidth,
    height = 360,
    left = 90,
    right = 70,
    top = 34,
    bottom = 20;
  const px = k => left + (k * (width - left - right)) / Math.max(1, axes.length - 1);
  const py = (one, value) => top + (1 - one.place(value)) * (height - top - bottom);
  const svg = make("svg:svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": `${those.length} runs by ${names.map(titleOf).join(", ")}`,
  });
  const told = make("output", {class: "told"});
  groups.forEach(([, same], colour) => {
    for (const run of same) {
      const points = axes
        .map((one, k) => [px(k), py(one, one.of(run))])
        .filter(([, y]) => Number.isFinite(y));
      const line = make("svg:polyline", {
        class: `line run colour-${colour}`,
        points: points.map(point => point.map(v => v.toFixed(1)).join(",")).join(" "),
      });
      line.addEventListener("pointerenter", () => {
        told.textContent = `${run.study}: ${run.label}; ${names.map(name => `${titleOf(name)} ${textAt(run, name)}`).join(", ")}`;
      });
      svg.append(line);
    }
  });
  axes.forEach((one, k) => {
    svg.append(
      make("svg:line", {class: "axis", x1: px(k), x2: px(k), y1: top, y2: height - bottom}),
    );
    svg.append(
      make(
        "svg:text",
        {class: "title", x: px(k), y: 16 + 12 * (k % 2), "text-anchor": "middle"},
        titleOf(one.name),
      ),
    );
    const last = k === axes.length - 1;
    for (const [value, text] of one.ticks.length > 14
      ? one.ticks.filter((_, n) => n % 3 === 0)
      : one.ticks)
      svg.append(
        make(
          "svg:text",
          {
            x: px(k) + (last ? 6 : -6),
            y: py(one, value) + 4,
            "text-anchor": last ? "start" : "end",
          },
          text,
        ),
      );
  });
  place.append(svg, told, legend(groups.map(([name]) => ({name, only: "line"}))));
}
