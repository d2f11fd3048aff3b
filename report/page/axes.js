// Numbers as they are printed, and the axes of plots.

const SUPERSCRIPT = {
  "-": "⁻",
  0: "⁰",
  1: "¹",
  2: "²",
  3: "³",
  4: "⁴",
  5: "⁵",
  6: "⁶",
  7: "⁷",
  8: "⁸",
  9: "⁹",
};
const whole = new Intl.NumberFormat("en"); // made once: making one takes longer than using it
const raised = power => [...String(power)].map(sign => SUPERSCRIPT[sign]).join("");

// Three digits: 0.0123, 4,610, 1.2 × 10⁻¹⁵.
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return whole.format(value).replace("-", "−");
  if (size && (size < 1e-3 || size >= 1e6)) return scientific(value);
  const digits = Number(value.toPrecision(3));
  return (size < 1000 ? String(digits) : whole.format(digits)).replace("-", "−");
}

// Two digits and a power of ten, as rates are printed everywhere: 10⁻³, 2 × 10⁻².
function scientific(value) {
  const [digits, power] = value.toExponential(1).replace(".0", "").split("e");
  const factor = digits === "1" ? "" : `${digits} × `;
  return `${factor}10${raised(Number(power))}`.replace("-", "−");
}

// Steps of 1, 2 or 5 times a power of ten, none below `least`.
function linearTicks([low, high], wanted, least = 0) {
  const rough = Math.max(least, (high - low) / wanted),
    power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(s => s >= rough) ?? rough;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-9) + 1e-12; k++)
    ticks.push([k * step, number(Number((k * step).toPrecision(6)))]);
  return ticks;
}

function logarithmicTicks([low, high], wanted) {
  const first = Math.ceil(Math.log10(low)),
    last = Math.floor(Math.log10(high));
  if (last - first < 1) return linearTicks([low, high], wanted).filter(([value]) => value > 0);
  const step = Math.max(1, Math.ceil((last - first) / wanted)),
    ticks = [];
  for (let power = Math.ceil(first / step) * step; power <= last; power += step)
    ticks.push([10 ** power, `10${raised(power)}`]);
  return ticks;
}

// An axis: its range with some room around, and where a value lies, from 0 to 1.
function axis({log, range, ticks}, values, wanted) {
  const usable = values.filter(v => Number.isFinite(v) && (!log || v > 0));
  let [low, high] =
    range ?? (usable.length ? [Math.min(...usable), Math.max(...usable)] : [log ? 1 : 0, 1]);
  if (!range) {
    const room = log
      ? Math.max(0.05, 0.04 * Math.log10(high / low))
      : 0.04 * (high - low) || 0.5;
    [low, high] = log ? [low / 10 ** room, high * 10 ** room] : [low - room, high + room];
  }
  const scale = log ? Math.log10 : value => value;
  const place = value => (scale(value) - scale(low)) / (scale(high) - scale(low));
  const least = Number(usable.every(Number.isInteger)); // half an epoch is no epoch
  const isOne = !range && new Set(usable).size === 1;
  const made = isOne
    ? [[usable[0], (log ? scientific : number)(usable[0])]]
    : (log ? logarithmicTicks : linearTicks)([low, high], wanted, least);
  const shown = ticks ?? made;
  return {place, log, ticks: shown.filter(([value]) => value >= low && value <= high)};
}
