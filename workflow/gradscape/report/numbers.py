"""Numbers, with their spread, and lists as LaTeX."""

import re

import numpy as np

from gradscape.report.escape import Tex, escape
from gradscape.spec.labels import SUPERSCRIPT

LARGE = 1e4  # from here on a loss is printed with a power of ten


def number(values, style: str = "loss") -> Tex:
    """Mean of `values`, with ± their standard deviation if they differ.

    Styles: `loss` (two decimals), `accuracy` (a fraction, printed in percent with one
    decimal), `significant` (three digits), `count` (a whole number, the same for all) and
    `power` (one decimal and a power of ten, of numbers that span decades: the geometric
    mean, as in the figures).
    """
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        return Tex("diverged")
    mean = values.mean()
    spread = values.std(ddof=1) if np.ptp(values) > 0 else None
    if style == "loss" and abs(mean) >= LARGE:
        style = "power"
    if style == "count":
        return Tex(f"{values[0]:,.0f}")
    if style == "power":
        if (values > 0).all():
            mean = np.exp(np.log(values).mean())
        mantissa, exponent = f"{mean:.1e}".split("e")
        if abs(int(exponent)) < 3:
            return Tex(f"{mean:.2g}")
        return Tex(rf"${mantissa}\times10^{{{int(exponent)}}}$")
    if style == "significant":
        text = f"{mean:.3g}"
        if spread is not None and spread > 5e-4 * abs(mean):
            text += rf" $\pm$ {f'{spread:#.2g}'.rstrip('.')}"
        return signed(re.sub(r"(?<!\S)(-?)([\d.]+)e([+-]\d+)", shorten_power, text))
    factor, decimals = (100, 1) if style == "accuracy" else (1, 2)
    text = f"{factor * mean:.{decimals}f}"
    if spread is not None:
        text += rf" $\pm$ {factor * spread:.{decimals}f}"
    return signed(text)


def quantity(values, style: str = "loss") -> Tex:
    """A number as it stands in a sentence: accuracies with their unit."""
    text = number(values, style)
    if style == "accuracy" and text != "diverged":
        text = Tex(text.replace(r" $\pm$ ", r"\,\% $\pm$ ") + r"\,\%")
    return text


def interval(verdict, turned: bool = False) -> Tex:
    r"""The 95 % interval of a claim's difference, in points for accuracies: `$+1.1$ to
    `$+3.7$`; a dash where it has none. `turned`: of right minus left."""
    low, high = (-verdict.high, -verdict.low) if turned else (verdict.low, verdict.high)
    if not np.isfinite([low, high]).all() or low == high:
        return Tex("--")
    factor, decimals = (100, 1) if verdict.style == "accuracy" else (1, 2)
    if verdict.style not in ("accuracy", "loss"):
        ends = [number([end], "significant") for end in (low, high)]
        return Tex(" to ".join(ends))
    return Tex(" to ".join(f"${factor * end:+.{decimals}f}$" for end in (low, high)))


def points(difference: float) -> str:
    """A difference of fractions, signed, in points: `+1.2`; without `-0.0`."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def difference(verdict) -> Tex:
    """The size of a claim's difference as it stands in a sentence, with its interval if it
    has one."""
    text = number([abs(verdict.difference)], verdict.style)
    if verdict.style == "accuracy":
        text = Tex(rf"{text} points")
    bounds = interval(verdict, turned=verdict.difference < 0)
    return text if bounds == "--" else Tex(rf"{text} (95\,\% interval {bounds})")


def shorten_power(match: re.Match) -> str:
    return rf"{match[1]}${match[2]}\times10^{{{int(match[3])}}}$"


def signed(text: str) -> Tex:
    """With a true minus sign."""
    return Tex(re.sub(r"^-", "$-$", text))


def learning_rate(rate: float) -> Tex:
    r"""`0.001` → `$10^{-3}$`, `0.002` → `$2\times10^{-3}$`."""
    mantissa, exponent = f"{rate:.6e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    factor = "" if mantissa == "1" else rf"{mantissa}\times"
    return Tex(rf"${factor}10^{{{int(exponent)}}}$")


MAX_LISTED = 20


def listing(words: list[str]) -> Tex:
    r"""`a, b and c`, each escaped; of very many, only the first and the last.

    >>> listing(["0", "1", "2"]), listing([str(seed) for seed in range(1000)])
    ('0, 1 and 2', '0 \\dots\\ 999 (1000 in all)')
    """
    if len(words) > MAX_LISTED:
        return Tex(rf"{escape(words[0])} \dots\ {escape(words[-1])} ({len(words)} in all)")
    words = [escape(word) for word in words]
    if len(words) < 2:
        return Tex("".join(words))
    return Tex(f"{', '.join(words[:-1])} and {words[-1]}")


def plain(text: str) -> str:
    r"""What this module wrote, as plain text.

    >>> plain(r"$-$1.2 $\\pm$ 0.3"), plain(r"$4.1\\times10^{-7}$"), plain(r"61.2\\,\\%")
    ('−1.2 ± 0.3', '4.1 × 10⁻⁷', '61.2 %')
    """
    text = re.sub(
        r"(\\times)?10\^\{(-?\d+)\}",
        lambda found: " × " * bool(found[1]) + "10" + found[2].translate(SUPERSCRIPT),
        text,
    )
    for sign, printed in {r"\pm": "±", r"\,": " ", "\\": "", "$": "", "--": "–"}.items():
        text = text.replace(sign, printed)
    return re.sub(r"(?<!\w)-(?=[\d.])", "−", text)
