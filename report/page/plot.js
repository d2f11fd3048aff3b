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
// only ("line", "points"), dashed, thin, texts (of its points), values (as they are told),
// quiet (in no legend). `labels` stand left of a place: x, y, text.
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
  const {x, y, label, lines, marks = [], labels = []} = element.plotted;
  const width = (element.painted = element.clientWidth);
  if (!width) return;
  const height = Math.round(Math.min(440, Math.max(250, width * 0.5)));
  const box = {left: 58, right: width - 12, top: 12, bottom: height - 44};
  const inner = {width: box.right - box.left, height: box.bottom - box.top};
  const heights = lines.flatMap(line => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]);
  const across = axis(
    x,
    lines.flatMap(line => line.x),
    Math.max(4, inner.width / 70),
  );
  const up = axis(y, [...heights, ...marks.map(mark => mark.y)], 6);
  const px = value => box.left + across.place(value) * inner.width;
  const py = value => box.top + (1 - up.place(value)) * inner.height;

  const level = (kind, at) =>
    make("svg:line", {class: kind, x1: box.left, x2: box.right, y1: at, y2: at});
  const upright = (kind, at) =>
    make("svg:line", {class: kind, x1: at, x2: at, y1: box.top, y2: box.bottom});
  const write = (text, anchor, attributes) =>
    make("svg:text", {...attributes, "text-anchor": anchor}, text);

  const svg = make("svg:svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": label,
  });
  for (const [value, text] of apart(up.ticks, value => -py(value), 13))
    svg.append(
      level("grid", py(value)),
      write(text, "end", {x: box.left - 7, y: py(value) + 4}),
    );
  for (const [value, text] of apart(across.ticks, px, 6, 6.6))
    svg.append(
      upright(x.kind ?? "grid", px(value)),
      write(text, "middle", {x: px(value), y: box.bottom + 18}),
    );
  const middle = {x: box.left + inner.width / 2, y: box.top + inner.height / 2};
  svg.append(
    write(x.title, "middle", {class: "title", x: middle.x, y: height - 6}),
    write(y.title, "middle", {
      class: "title",
      transform: `translate(13 ${middle.y}) rotate(-90)`,
    }),
  );

  const clip = `clip-${element.id}`;
  const room = {x: box.left - 4, y: box.top - 4};
  svg.append(
    make(
      "svg:clipPath",
      {id: clip},
      make("svg:rect", {...room, width: inner.width + 8, height: inner.height + 8}),
    ),
  );
  const drawing = svg.appendChild(make("svg:g", {"clip-path": `url(#${clip})`}));
  for (const {y: value, text} of marks) {
    const at = py(value);
    if (drawable(value, up))
      drawing.append(
        level("mark", at),
        write(text, "end", {
          class: "mark",
          x: box.right - 4,
          y: at + (at < box.top + 16 ? 14 : -5),
        }),
      );
  }
  const place = (x, y) =>
    drawable(x, across) && drawable(y, up) ? {x: px(x), y: py(y)} : null;
  const points = lines.flatMap((line, index) => drawLine(drawing, line, index, place));
  for (const {x, y, text} of labels)
    svg.append(write(text, "end", {x: px(x) - 6, y: py(y) + 4}));
  const lit = svg.appendChild(make("svg:polyline"));
  const ring = svg.appendChild(make("svg:circle", {class: "ring", r: 6, visibility: "hidden"}));
  const told = make("output", {class: "told", "aria-live": "polite"});
  element.replaceChildren(svg, told, legend(lines));
  listen(element, svg, points, [ring, lit], told);
}

// The ticks whose texts do not overlap; a text takes `room` and so much more a letter.
function apart(ticks, at, room, letter = 0) {
  let free = -Infinity;
  return ticks.filter(([value, text]) => {
    const half = (room + letter * text.length) / 2;
    if (at(value) - half < free) return false;
    free = at(value) + half;
    return true;
  });
}

const drawable = (value, {log}) => Number.isFinite(value) && (!log || value > 0);
const colourOf = (line, index) => `colour-${(line.colour ?? index) % 8}`;
const strokeOf = (line, index, points) =>
  make("svg:polyline", {
    class: `line ${line.thin ? "thin " : ""}${colourOf(line, index)}`,
    "stroke-dasharray": line.dashed && "6 5",
    points,
  });

const joined = spots => spots.map(({x, y}) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

// Draws a line where `place` puts its values; returns the points that it puts anywhere.
function drawLine(drawing, line, index, place) {
  const spots = line.y.map((value, k) => place(line.x[k], value));
  const edge = values =>
    values.map((value, k) => spots[k] && place(line.x[k], value)).filter(Boolean);
  if (line.low)
    drawing.append(
      make("svg:polygon", {
        class: `band ${colourOf(line, index)}`,
        points: joined([...edge(line.high), ...edge(line.low).reverse()]),
      }),
    );
  if (line.only !== "points")
    for (const part of unbroken(spots)) drawing.append(strokeOf(line, index, joined(part)));
  if (line.only !== "line" && (line.only || line.y.length < 60))
    for (const {x, y} of spots.filter(Boolean))
      drawing.append(
        make("svg:circle", {
          class: colourOf(line, index),
          cx: x.toFixed(1),
          cy: y.toFixed(1),
          r: line.only ? 3.2 : 2.2,
        }),
      );
  return spots.flatMap((spot, k) =>
    spot ? {...spot, line, index, k, next: line.thin && spots[k + 1]} : [],
  );
}

// The parts between missing spots.
function unbroken(spots) {
  const parts = [[]];
  for (const spot of spots)
    if (spot) parts.at(-1).push(spot);
    else parts.push([]);
  return parts.filter(part => part.length);
}

function legend(lines) {
  const list = make("ul", {class: "legend"});
  lines.forEach((line, index) => {
    if (line.quiet) return;
    const sample = make("svg:svg", {width: 26, height: 10, "aria-hidden": "true"});
    if (line.only !== "points") sample.append(strokeOf(line, index, "0,5 26,5"));
    if (line.only !== "line")
      sample.append(make("svg:circle", {class: colourOf(line, index), cx: 13, cy: 5, r: 3}));
    list.append(make("li", {}, sample, ` ${line.name}`));
  });
  return list;
}

// How far a place is from a point, or of a thin line from what leads on to the next one.
function distance(place, {x, y, next}) {
  const [right, down] = next ? [next.x - x, next.y - y] : [0, 0];
  const along = (place.x - x) * right + (place.y - y) * down;
  const share = next ? Math.min(1, Math.max(0, along / (right ** 2 + down ** 2))) : 0;
  return Math.hypot(x + share * right - place.x, y + share * down - place.y);
}

// Pointer and arrow keys: the nearest point is ringed and told, a thin line drawn anew on top.
function listen(element, svg, points, [ring, lit], told) {
  const show = point => {
    element.at = point && {index: point.index, k: point.k};
    for (const mark of [ring, lit])
      mark.setAttribute("visibility", point ? "visible" : "hidden");
    if (!point) {
      told.textContent = "";
      return;
    }
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
    if (point.line.thin) {
      const whole = points.filter(({index}) => index === point.index);
      lit.setAttribute("points", joined(whole));
      lit.setAttribute("class", `line ${colourOf(point.line, point.index)}`);
    }
    const {line, k} = point,
      {x} = element.plotted;
    const place = line.texts?.[k] ?? `${x.title} ${number(line.x[k])}`;
    const band = line.low ? ` (${number(line.low[k])} to ${number(line.high[k])})` : "";
    const value = line.values?.[k] ?? number(line.y[k]);
    told.textContent = `${line.name}; ${place}: ${value}${band}`;
  };
  const seek = event => {
    const box = svg.getBoundingClientRect();
    const here = {x: event.clientX - box.left, y: event.clientY - box.top};
    let [nearest, least] = [null, 60];
    for (const point of points) {
      const far = distance(here, point);
      if (far < least) [nearest, least] = [point, far];
    }
    show(nearest);
  };
  svg.addEventListener("pointermove", seek);
  svg.addEventListener("pointerdown", seek);
  svg.addEventListener("pointerleave", event => {
    if (event.pointerType === "mouse") show(null); // what a finger has found stays
  });
  if (!points.length) return;
  svg.setAttribute("tabindex", 0);
  svg.addEventListener("keydown", event => {
    const [along, step] =
      {
        ArrowRight: ["k", 1],
        ArrowLeft: ["k", -1],
        ArrowUp: ["index", -1],
        ArrowDown: ["index", 1],
      }[event.key] ?? [];
    if (!along) return;
    event.preventDefault();
    const [{index, k}] = points,
      now = element.at ?? {index, k: along === "k" ? k - step : k};
    const far = (point, name) => Math.abs(point[name] - now[name]);
    const [next] = points
      .filter(p => (p[along] - now[along]) * step > 0)
      .filter(p => along === "index" || p.index === now.index)
      .sort((a, b) => far(a, "index") - far(b, "index") || far(a, "k") - far(b, "k"));
    if (next) show(next);
  });
}
