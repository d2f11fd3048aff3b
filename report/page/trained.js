// What was measured in finished runs: gradient flow by epoch, and loss surfaces.

function drawFlow() {
  const flows = ["flow-a", "flow-b"].map(id => chosenIn(id, data.flows));
  $("flow-epoch").max = Math.max(...flows.map(flow => flow.epoch.length)) - 1;
  const at = flow => Math.min(Number($("flow-epoch").value), flow.epoch.length - 1); // or its last
  tellSlider("flow-epoch", flows[0].epoch[at(flows[0])]);
  const all = flows.flatMap(flow => flow.gradient.flat()).filter(value => value > 0);
  const trained = flows.map(flow => byName.get(flow.run)),
    looks = trained.every(Boolean)
      ? looksOf(
          trained.map(run => [run]),
          2,
        )
      : [];
  const longest = flows.reduce((a, b) => (b.layer.length > a.layer.length ? b : a)).layer;
  plot($("flow"), {
    label: `Mean absolute gradient by layer of ${flows.map(flow => flow.label).join(" and ")}`,
    x: {
      title: "layer, from input to output",
      ticks: blockTicks(longest, $("flow").clientWidth),
    },
    y: {
      title: "mean absolute gradient",
      log: true,
      range: all.length ? [Math.min(...all) / 2, Math.max(...all) * 2] : undefined,
    },
    lines: flows.map((flow, index) => ({
      name: `${flow.label}, epoch ${flow.epoch[at(flow)]}`,
      ...looks[index],
      x: flow.layer.map((_, k) => k + 1),
      y: flow.gradient[at(flow)].map(value => (value > 0 ? value : NaN)),
      texts: flow.layer,
    })),
  });
}

// A tick where a stage begins, or of every few layers where there are none; the last ones
// where there is no room for all.
function blockTicks(layers, width) {
  const stages = layers.map(name => name.split(",")[0]);
  const begins = stages
    .map((name, k) => [k + 1, name])
    .filter(([place, name]) => place === 1 || name !== stages[place - 2]);
  const kept = [];
  for (const [place, name] of begins.reverse())
    if (!kept.length || (kept[0][0] - place) * width > 75 * layers.length)
      kept.unshift([place, name]);
  return kept;
}

if (data.flows.length) {
  fillMenus(["flow-a", "flow-b"], data.flows);
  for (const id of ["flow-a", "flow-b", "flow-epoch"])
    $(id).addEventListener("input", drawFlow);
  remember($("gradient-flow"));
  drawFlow();
}

// Loss surfaces side by side in the same colours; solid only if asked for.
const turned = {around: 0.8, up: 0.6};

function drawSurfaces() {
  const chosen = ["surface-a", "surface-b"].map(id => chosenIn(id, data.surfaces));
  const all = chosen.flatMap(surface => surface.loss.flat()).filter(value => value !== null);
  const low = Math.min(...all),
    high = Math.max(...all, low + 1e-3);
  $("surfaces").replaceChildren(
    ...chosen.map(surface => {
      const canvas = make("canvas", {
        role: "img",
        width: 480,
        height: 480,
        "aria-label": `Loss around the best weights of ${surface.label}: from ${number(Math.min(...surface.loss.flat()))} to ${number(Math.max(...surface.loss.flat()))}`,
      });
      const draw = $("surface-solid").checked ? drawSolid : drawFlat;
      draw(
        canvas.getContext("2d"),
        surface,
        value => viridis((value - low) / (high - low)),
        value => (value - low) / (high - low),
      );
      return make(
        "figure",
        {},
        make("figcaption", {}, make("b", {}, surface.label), saidOf(surface)),
        canvas,
      );
    }),
  );
  const bar = make("span", {class: "scale"}),
    shades = VIRIDIS.map(colour => `rgb(${colour.join(" ")})`);
  bar.style.background = `linear-gradient(to right, ${shades.join(", ")})`;
  $("surface-scale").replaceChildren(`Training loss ${number(low)} `, bar, ` ${number(high)}`);
}

const saidOf = ({alpha, back, hessian}) =>
  [
    hessian,
    `α across, β up, from ${number(Math.min(...alpha))} to ${number(Math.max(...alpha))}`,
    back && "α leads back to the first weights, at 1",
  ]
    .filter(Boolean)
    .join("; ");

function drawFlat(context, {loss}, colour) {
  const size = context.canvas.width / loss.length;
  loss.forEach((row, r) =>
    row.forEach((value, c) => {
      context.fillStyle = colour(value);
      context.fillRect(r * size, (row.length - 1 - c) * size, size + 1, size + 1);
    }),
  );
  const middle = context.canvas.width / 2; // the best weights
  context.fillStyle = "#fff";
  context.fillRect(middle - 9, middle - 1.5, 18, 3);
  context.fillRect(middle - 1.5, middle - 9, 3, 18);
}

// Its cells in perspective from afar, the farthest first.
function drawSolid(context, {loss}, colour, height) {
  const last = loss.length - 1,
    {around, up} = turned,
    {width} = context.canvas;
  const project = (r, c) => {
    const x = r / last - 0.5,
      y = c / last - 0.5,
      z = height(loss[r][c]) - 0.5;
    const across = x * Math.cos(around) - y * Math.sin(around),
      deep = x * Math.sin(around) + y * Math.cos(around);
    return {
      x: width * (0.5 + 0.62 * across),
      y: width * (0.5 - 0.5 * z * Math.cos(up) + 0.62 * deep * Math.sin(up)),
      deep,
    };
  };
  const cells = [];
  for (let r = 0; r < last; r++)
    for (let c = 0; c < last; c++) {
      const corners = [
        [r, c],
        [r + 1, c],
        [r + 1, c + 1],
        [r, c + 1],
      ];
      cells.push({
        places: corners.map(([i, j]) => project(i, j)),
        value: average(corners.map(([i, j]) => loss[i][j])),
      });
    }
  cells.sort((a, b) => average(a.places.map(p => p.deep)) - average(b.places.map(p => p.deep)));
  for (const {places, value} of cells) {
    context.fillStyle = context.strokeStyle = colour(value);
    context.beginPath();
    for (const {x, y} of places) context.lineTo(x, y);
    context.closePath();
    context.fill();
    context.stroke();
  }
}

function turn(around, up) {
  turned.around += around;
  turned.up = Math.min(1.5, Math.max(0.1, turned.up + up));
  drawSurfaces();
}

if (data.surfaces.length) {
  fillMenus(["surface-a", "surface-b"], data.surfaces);
  for (const id of ["surface-a", "surface-b", "surface-solid"])
    $(id).addEventListener("input", drawSurfaces);
  $("surfaces").addEventListener("pointermove", event => {
    if (event.buttons && $("surface-solid").checked)
      turn(event.movementX / 100, event.movementY / 150);
  });
  $("surfaces").addEventListener("keydown", event => {
    const step = {
      ArrowLeft: [-0.1, 0],
      ArrowRight: [0.1, 0],
      ArrowUp: [0, 0.1],
      ArrowDown: [0, -0.1],
    }[event.key];
    if (!step || !$("surface-solid").checked) return;
    event.preventDefault();
    turn(...step);
  });
  remember($("loss-surfaces"));
  drawSurfaces();
}

// A click on a column's name sorts by it; another turns the order round.
for (const button of document.querySelectorAll("table.sortable th button"))
  button.addEventListener("click", () => {
    const head = button.parentElement,
      heads = [...head.parentElement.children],
      column = heads.indexOf(head);
    const down = head.ariaSort === "ascending";
    for (const other of heads) other.ariaSort = "none";
    head.ariaSort = down ? "descending" : "ascending";
    const body = head.closest("table").tBodies[0];
    const value = row => {
      const text = row.children[column].textContent.trim();
      return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
    };
    body.append(...[...body.rows].sort((a, b) => compareValues(value(a), value(b), down)));
  });

// Figures lie deflated in the page. When all have their size, it opens where it is to open.
async function inflate(image) {
  const letters = atob(image.dataset.deflated),
    bytes = Uint8Array.from(letters, letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const type = {headers: {"content-type": "image/svg+xml"}};
  image.src = URL.createObjectURL(await new Response(stream, type).blob());
  await image.decode();
}
Promise.allSettled([...document.querySelectorAll("img[data-deflated]")].map(inflate)).then(() =>
  document.getElementById(view.get("at") ?? location.hash.slice(1))?.scrollIntoView(),
);

// A figure fills the page's width at a click, and shrinks at another.
for (const image of document.querySelectorAll("figure button.enlarge"))
  image.addEventListener("click", () => {
    image.ariaExpanded = image.closest("figure").classList.toggle("large");
  });
