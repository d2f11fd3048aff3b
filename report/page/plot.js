// Plots as SVG: lines with bands and points, on linear or logarithmic axes. A plot is redrawn
// when its width changes, tells what the pointer is at, and can be walked with arrow keys.

const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

// An element of HTML, or of SVG where `kind` starts with "svg:".
function make(kind, attributes = {}, ...children) {
  const made = kind.startsWith("svg:")
    ? document.createElementNS(SVG, kind.slice(4))
    : document.createElement(kind);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== null && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}

// Draws into `element`. `content`: a `label` for who does not see it, `x` and `y` with title,
// log, range and ticks ([value, text]) perhaps, `lines` and `marks` (a height with a text).
// A line: name, x, y, and perhaps low and high (a band), colour (a number, else its own),
// only ("line", "points"), dashed, texts (of its points), quiet (in no legend).
function plot(element, content) {
  if (!element.classList.contains("plot")) {
    element.classList.add("plot");
    new ResizeObserver(() => {
      if (element.plotted && element.clientWidth !== element.painted) paint(element);
    }).observe(element);
  }
  element.plotted = content;
  paint(element);
}

function paint(element) {
  const {x, y, label, lines, marks = []} = element.plotted;
  const width = (element.painted = element.clientWidth);
  if (!width) return;
  const height = Math.round(Math.min(440, Math.max(250, width * 0.5)));
  const margin = {left: 58, right: 12, top: 12, bottom: 44};
  const inner = {
    width: width - margin.left - margin.right,
    height: height - margin.top - margin.bottom,
  };
  const heights = lines.flatMap(line => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]);
  const across = axis(
    x,
    lines.flatMap(line => line.x),
    Math.max(4, inner.width / 70),
  );
  const up = axis(y, [...heights, ...marks.map(mark => mark.y)], 6);
  const px = value => margin.left + across.place(value) * inner.width;
  const py = value => margin.top + (1 - up.place(value)) * inner.height;
  const drawable = (value, at) => Number.isFinite(value) && (!at.log || value > 0);

  const svg = make("svg:svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": label,
  });
  for (const [value, text] of up.ticks) {
    svg.append(
      make("svg:line", {
        class: "grid",
        x1: margin.left,
        x2: width - margin.right,
        y1: py(value),
        y2: py(value),
      }),
    );
    svg.append(
      make("svg:text", {x: margin.left - 7, y: py(value) + 4, "text-anchor": "end"}, text),
    );
  }
  for (const [value, text] of across.ticks) {
    svg.append(
      make("svg:line", {
        class: "grid",
        x1: px(value),
        x2: px(value),
        y1: margin.top,
        y2: height - margin.bottom,
      }),
    );
    svg.append(
      make(
        "svg:text",
        {x: px(value), y: height - margin.bottom + 18, "text-anchor": "middle"},
        text,
      ),
    );
  }
  svg.append(
    make(
      "svg:text",
      {
        class: "title",
        x: margin.left + inner.width / 2,
        y: height - 6,
        "text-anchor": "middle",
      },
      x.title,
    ),
  );
  svg.append(
    make(
      "svg:text",
      {
        class: "title",
        transform: `translate(13 ${margin.top + inner.height / 2}) rotate(-90)`,
        "text-anchor": "middle",
      },
      y.title,
    ),
  );

  const clip = `clip-${element.id}`;
  svg.append(
    make(
      "svg:clipPath",
      {id: clip},
      make("svg:rect", {
        x: margin.left - 4,
        y: margin.top - 4,
        width: inner.width + 8,
        height: inner.height + 8,
      }),
    ),
  );
  const drawing = svg.appendChild(make("svg:g", {"clip-path": `url(#${clip})`}));
  for (const {y: at, text} of marks) {
    if (!drawable(at, up)) continue;
    drawing.append(
      make("svg:line", {
        class: "mark",
        x1: margin.left,
        x2: width - margin.right,
        y1: py(at),
        y2: py(at),
      }),
    );
    drawing.append(
      make(
        "svg:text",
        {
          class: "mark",
          x: width - margin.right - 4,
          y: py(at) + (py(at) < margin.top + 16 ? 14 : -5),
          "text-anchor": "end",
        },
        text,
      ),
    );
  }
  const points = [];
  lines.forEach((line, index) => {
    const colour = `colour-${(line.colour ?? index) % 8}`;
    const seen = line.y.map((value, k) => drawable(value, up) && drawable(line.x[k], across));
    const path = (values, order) =>
      order
        .filter(k => seen[k] && drawable(values[k], up))
        .map(k => `${px(line.x[k]).toFixed(1)},${py(values[k]).toFixed(1)}`);
    const forth = line.y.map((_, k) => k),
      back = [...forth].reverse();
    if (line.low)
      drawing.append(
        make("svg:polygon", {
          class: `band ${colour}`,
          points: [...path(line.high, forth), ...path(line.low, back)].join(" "),
        }),
      );
    if (line.only !== "points")
      // broken where a value is missing
      for (const part of runsOf(seen))
        drawing.append(
          make("svg:polyline", {
            class: `line ${colour}`,
            "stroke-dasharray": line.dashed && "6 5",
            points: path(line.y, part).join(" "),
          }),
        );
    forth
      .filter(k => seen[k])
      .forEach(k => {
        const at = {x: px(line.x[k]), y: py(line.y[k]), line, index, k};
        points.push(at);
        if (line.only !== "line" && (line.only || line.y.length < 60))
          drawing.append(
            make("svg:circle", {
              class: colour,
              cx: at.x.toFixed(1),
              cy: at.y.toFixed(1),
              r: line.only ? 3.2 : 2.2,
            }),
          );
      });
  });
  const ring = svg.appendChild(make("svg:circle", {class: "ring", r: 6, visibility: "hidden"}));
  const told = make("output", {class: "told", "aria-live": "polite"});
  element.replaceChildren(svg, told, legend(lines));
  listen(element, svg, points, ring, told);
}

// The runs of indices at which `seen` is true.
function runsOf(seen) {
  const parts = [];
  seen.forEach((is, k) => {
    if (!is) return;
    if (k && seen[k - 1]) parts.at(-1).push(k);
    else parts.push([k]);
  });
  return parts;
}

function legend(lines) {
  const list = make("ul", {class: "legend"});
  lines.forEach((line, index) => {
    if (line.quiet) return;
    const sample = make("svg:svg", {width: 26, height: 10, "aria-hidden": "true"});
    const colour = `colour-${(line.colour ?? index) % 8}`;
    if (line.only !== "points")
      sample.append(
        make("svg:polyline", {
          class: `line ${colour}`,
          points: "0,5 26,5",
          "stroke-dasharray": line.dashed && "6 5",
        }),
      );
    if (line.only !== "line")
      sample.append(make("svg:circle", {class: colour, cx: 13, cy: 5, r: 3}));
    list.append(make("li", {}, sample, ` ${line.name}`));
  });
  return list;
}

// Pointer and arrow keys: the nearest point is ringed and told.
function listen(element, svg, points, ring, told) {
  const show = point => {
    element.at = point && {index: point.index, k: point.k};
    ring.setAttribute("visibility", point ? "visible" : "hidden");
    if (!point) {
      told.textContent = "";
      return;
    }
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
    const {line, k} = point,
      {x} = element.plotted;
    const place = line.texts?.[k] ?? `${x.title} ${number(line.x[k])}`;
    const band = line.low ? ` (${number(line.low[k])} to ${number(line.high[k])})` : "";
    told.textContent = `${line.name}; ${place}: ${number(line.y[k])}${band}`;
  };
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const far = p => Math.hypot(p.x - event.clientX + box.left, p.y - event.clientY + box.top);
    let nearest = null;
    for (const point of points) if (far(point) < (nearest ? far(nearest) : 60)) nearest = point;
    show(nearest);
  });
  svg.addEventListener("pointerleave", () => show(null));
  if (!points.length) return;
  svg.setAttribute("tabindex", 0);
  svg.addEventListener("keydown", event => {
    const step = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[
      event.key
    ];
    if (!step) return;
    event.preventDefault();
    const now = element.at ?? {index: points[0].index, k: points[0].k - step[1]};
    const there = points.filter(p =>
      step[1] ? p.index === now.index : p.index * step[0] > now.index * step[0],
    );
    const line = step[1]
      ? now.index
      : there.length &&
        there.reduce((a, b) => ((b.index - a.index) * step[0] < 0 ? b : a)).index;
    const along = there.filter(
      p => p.index === line && (!step[1] || (p.k - now.k) * step[1] > 0),
    );
    if (along.length)
      show(along.reduce((a, b) => (Math.abs(b.k - now.k) < Math.abs(a.k - now.k) ? b : a)));
  });
}
