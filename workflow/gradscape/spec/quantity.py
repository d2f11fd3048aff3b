"""Numbers as figures, tables, sentences, the page and the terminal print them: one value,
written as LaTeX, as plain text and as HTML."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

DIVERGED = "diverged"
LARGE = 1e4  # from here on a loss is printed with a power of ten
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DIGITS = re.compile(r"(?P<sign>-?)(?P<mantissa>[\d.,]+)(?:e(?P<exponent>[+-]?\d+))?")


@dataclass(frozen=True)
class Notation:
    """How signs and powers of ten are written; `math` stands around a formula."""

    minus: str
    plus_minus: str
    percent: str
    none: str
    times: str
    ten: Callable[[int], str]  # to a power
    math: str = ""


LATEX = Notation("$-$", r" $\pm$ ", r"\,\%", "--", r"\times", "10^{{{}}}".format, "$")
TEXT = Notation(
    "−", " ± ", " %", "–", " × ", lambda n: f"10{str(n).translate(SUPERSCRIPT)}"
)
HTML = replace(TEXT, ten=lambda n: f"10<sup>{n}</sup>".replace("-", "−"))


class Printed:
    """A number that is `written` in each notation, in sentences with its unit."""

    def latex(self, **options: bool) -> str:
        return self.written(LATEX, **options)

    def text(self, **options: bool) -> str:
        return self.written(TEXT, **options)

    def html(self, **options: bool) -> str:
        return self.written(HTML, **options)


@dataclass(frozen=True)
class Quantity(Printed):
    """A value, with the standard deviation of what it is the mean of if that differs.

    Styles: `loss` (two decimals), `accuracy` (a fraction, in percent with one decimal),
    `significant` (three digits, or the places of the spread), `count` (a whole number),
    `power` (one decimal and a power of ten), `scientific` (the same near one too), `rate`
    (a power of ten with no more digits than it has). A value that is not finite is that of
    a network that diverged.
    """

    value: float
    spread: float | None = None
    style: str = "loss"

    @classmethod
    def of(cls, values, style: str = "loss") -> "Quantity":
        """The mean of `values` and their spread; of powers of ten, and of losses that span
        decades, the geometric mean, as in the figures."""
        import numpy as np  # which a configuration is checked without

        values = np.asarray(values, dtype=float)
        if not np.isfinite(values).all():
            return cls(math.nan, None, style)
        mean = values.mean()
        spread = values.std(ddof=1) if np.ptp(values) > 0 else None
        if style == "loss" and (abs(mean) >= LARGE or (spread or 0) > abs(mean) > 1):
            style = "power"
        if style == "power" and (values > 0).all():
            mean = np.exp(np.log(values).mean())
        return cls(mean, spread, style)

    def signed(self, notation: Notation = LATEX) -> str:
        """The value with its sign, in points if it is a difference of accuracies."""
        if self.style not in ("accuracy", "loss"):
            return self.written(notation)
        factor, decimals = (100, 1) if self.style == "accuracy" else (1, 2)
        minus = notation.minus.strip(notation.math)
        digits = f"{factor * self.value:+.{decimals}f}".replace("-", minus)
        return notation.math + digits + notation.math

    def written(self, notation: Notation, unit: bool = False) -> str:
        """`unit`: an accuracy with its percent sign, as in a sentence."""
        shown = [self.value]
        if self.spread is not None and self._is_shown(self.spread):
            shown.append(self.spread)
        if not all(math.isfinite(100 * number) for number in shown):  # in percent, too
            return DIVERGED
        after = notation.percent if unit and self.style == "accuracy" else ""
        parts = [self._digits(number, of_spread=n > 0) for n, number in enumerate(shown)]
        if self.style == "significant" and len(parts) == 2 and "e" not in "".join(parts):
            decimals = len(parts[1].partition(".")[2])  # as many as the spread has
            parts[0] = f"{self.value:.{decimals}f}"
        return notation.plus_minus.join(write(part, notation) + after for part in parts)

    def _is_shown(self, spread: float) -> bool:
        if self.style == "significant":
            return spread > 5e-4 * abs(self.value)
        return self.style in ("loss", "accuracy")

    def _digits(self, value: float, of_spread: bool = False) -> str:
        """As Python writes it: `-1.2`, `4.1e-07`."""
        match self.style:
            case "accuracy":
                return f"{100 * value:.1f}"
            case "significant":
                return f"{value:#.2g}".rstrip(".") if of_spread else f"{value:.3g}"
            case "count":
                return f"{value:,.0f}"
            case "rate":
                return format_learning_rate(value)
            case "scientific":
                return f"{value:.1e}"
            case "power":
                text = f"{value:.1e}"
                return f"{value:.2g}" if abs(int(text.split("e")[1])) < 3 else text
        return f"{value:.2f}"


def write(digits: str, notation: Notation) -> str:
    """A number that Python wrote, in a notation.

    >>> write("-1.2", TEXT), write("4.1e-07", TEXT), write("1e-03", LATEX)
    ('−1.2', '4.1 × 10⁻⁷', '$10^{-3}$')
    """
    found = DIGITS.fullmatch(digits)
    assert found is not None, digits
    sign, mantissa, exponent = found.group("sign", "mantissa", "exponent")
    minus = notation.minus if sign else ""
    if exponent is None:
        return minus + mantissa
    factor = "" if mantissa == "1" else mantissa + notation.times
    return minus + notation.math + factor + notation.ten(int(exponent)) + notation.math


def format_learning_rate(rate: float) -> str:
    """One text for one rate.

    >>> format_learning_rate(0.001), format_learning_rate(1.5e-3), format_learning_rate(1)
    ('1e-3', '1.5e-3', '1e0')
    """
    mantissa, exponent = f"{rate:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def rate(value: float) -> Quantity:
    """A learning rate.

    >>> rate(0.001).text(), rate(0.002).latex()
    ('10⁻³', '$2\\\\times10^{-3}$')
    """
    return Quantity(value, style="rate")


@dataclass(frozen=True)
class Interval(Printed):
    """The 95 % interval of a difference, in points for accuracies: `$+1.1$ to $+3.7$`; a
    dash where there is none."""

    low: float
    high: float
    style: str = "loss"

    @property
    def is_known(self) -> bool:
        return math.isfinite(self.high - self.low)

    def turned(self) -> "Interval":
        """The interval of right minus left."""
        return Interval(-self.high, -self.low, self.style)

    def written(self, notation: Notation) -> str:
        if not self.is_known:
            return notation.none
        if self.style == "times":
            ends = (Quantity(end, style="power") for end in (self.low, self.high))
            return f"{' to '.join(end.written(notation) for end in ends)} times"
        style = self.style if self.style in ("accuracy", "loss") else "significant"
        ends = (Quantity(end, style=style) for end in (self.low, self.high))
        return " to ".join(end.signed(notation) for end in ends)
