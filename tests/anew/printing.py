"""Numbers and names as the documents print them, in one plain form of text.

What LaTeX, YAML and this folder write is brought into that form before it is compared.
"""

import math
import re

import numpy as np

from anew.verdicts import REFUTED

# All text is compared in one plain form, into which `plain` brings LaTeX and YAML alike.

GREEK_NAMES = "alpha beta gamma delta epsilon eta theta lambda mu pi rho sigma tau phi"
GREEK = dict(zip("αβγδεηθλμπρστφω", [*GREEK_NAMES.split(), "omega"], strict=True))
SIGNS = {"−": "-", r"\pm": "±", r"\times": "×", r"\leq": "≤", r"\geq": "≥", r"\approx": "≈"}
SIGNS |= {r"\to": "→", r"\circ": "○", r"\,": "", "~": " ", "–": "--", r"\ ": " "}
SIGNS |= {
    r"\%": "%",
    r"\_": "_",
    r"\#": "#",
    r"\$": "",
    "$": "",
    "{[}": "[",
    "{*}": "*",
    r"\-": "",
}
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def plain(text):
    """One form for what LaTeX, YAML and this script write: `28.9% ± 0.4%`, `3×10^-4`."""
    text = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"^{found[0].translate(RAISED)}", text)
    text = re.sub(r"\\nocite\{[^}]*\}", "", text)
    for letter, name in GREEK.items():
        text = text.replace(letter, f"\\{name}")
    for sign, written in SIGNS.items():
        if sign[1:].isalpha():  # a command ends where its letters do
            text = re.sub(rf"\\{sign[1:]}(?![a-zA-Z])", written, text)
        else:
            text = text.replace(sign, written)
    text = re.sub(r"\^\{(-?\d+)\}", r"^\1", text)
    text = re.sub(r" *× *", "×", text)
    text = re.sub(r"(?<=\d) +%", "%", text)
    return re.sub(r"[ \t]+", " ", text)


def number(value, style="loss", of_spread=False):
    if style == "accuracy":
        return f"{100 * value:.1f}"
    if style == "count":
        return f"{value:,.0f}"
    if style == "significant":
        return powers(f"{value:#.2g}".rstrip(".") if of_spread else f"{value:.3g}")
    if style == "power":
        tenth = math.floor(math.log10(abs(float(f"{value:.1e}")))) if value else 0
        return powers(f"{value:.2g}" if abs(tenth) < 3 else f"{value:.1e}")
    if style == "scientific":
        return powers(f"{value:.1e}")
    return f"{value:.2f}"


def powers(text):
    mantissa, exponent, digits = text.partition("e")
    if not exponent:
        return text
    power = f"10^{int(digits)}"
    return (
        mantissa.replace("1", power) if mantissa in ("1", "-1") else f"{mantissa}×{power}"
    )


def rate_text(rate):
    mantissa, exponent = f"{rate:.6e}".split("e")
    return powers(f"{mantissa.rstrip('0').rstrip('.')}e{exponent}")


def printed_style(values, style):
    """Losses that are large, or scatter by more than their mean, print as powers of ten."""
    scattered = len(values) > 1 and values.std(ddof=1) > abs(values.mean()) > 1
    large = len(values) and abs(values.mean()) >= 1e4
    return "power" if style == "loss" and (large or scattered) else style


def average(values, style):
    """The mean that is printed: geometric for powers of ten."""
    values = np.array(values, float)
    if printed_style(values, style) == "power" and (values > 0).all():
        return float(np.exp(np.log(values).mean()))
    return float(values.mean())


def quantity(values, style="loss", unit=False):
    """Mean ± standard deviation over seeds, where they differ."""
    values = np.array(values, float)
    if not np.isfinite(values).all():
        return "diverged"
    style = printed_style(values, style)
    mean = average(values, style)
    shown = [number(mean, style)]
    if np.ptp(values) > 0:
        deviation = values.std(ddof=1)
        seen = style == "significant" and deviation > 5e-4 * abs(mean)
        if seen or style in ("loss", "accuracy"):
            shown.append(number(deviation, style, of_spread=True))
        if seen and not any("^" in text for text in shown):
            places = shown[1].split(".")[1] if "." in shown[1] else ""
            shown[0] = f"{mean:.{len(places)}f}"
    return " ± ".join(text + "%" * (unit and style == "accuracy") for text in shown)


def signed(value, style):
    if style == "accuracy":
        return f"{100 * value:+.1f}"
    return f"{value:+.2f}" if style == "loss" else number(value, "significant")


def interval(low, high, style):
    if low is None or not math.isfinite(high - low):
        return "--"
    return f"{signed(low, style)} to {signed(high, style)}"


def interval_of(fields):
    """A claim's interval: in times where its numbers are powers of ten."""
    if fields["style"] == "power" and fields["ratio"]:
        return " to ".join(number(end, "power") for end in fields["ratio"]) + " times"
    return interval(*(fields[name] for name in ("low", "high", "style")))


def points(difference):
    return signed(round(difference, 3) + 0.0, "accuracy")


def listed(words):
    words = [str(word) for word in words]
    if len(words) > 20:
        return f"{words[0]} to {words[-1]} ({len(words)} in all)"
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def counted(number, noun):
    return f"{number:,} {noun}{'s' * (number != 1)}"


def spelt(number):
    words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return words[number] if number < len(words) else f"{number:,}"


NAMES = {"vgg_a": "VGG-A", "resnet": "ResNet", "convnet": "ConvNet"}
NAMES |= {"efficientnet_lite0": "EfficientNet-Lite0"}
WORDS = ["ReLU", "ELU", "GELU", "Adam", "AdamW", "SGD", "RMSprop", "Muon"]
WORDS += ["L1", "L2", "He", "BN", "RC", "fine-tuned"]
WORDS = {word.lower(): word for word in WORDS}
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def model_name(model):
    base, *added = re.sub("(vgg|efficientnet)-(a|lite)", r"\1_\2", model).split("-")
    base = NAMES.get(base, base.replace("vgg", "VGG"))
    added = [word.upper() if len(word) == 2 else word for word in added]
    return f"{base} {'+'.join(added)}".strip()


def variant_name(variant):
    if variant in WORDS:
        return WORDS[variant]
    words = re.sub(r"(?<=[a-z])-|_", " ", variant).split()
    return " ".join(WORDS.get(word, word) for word in words)


def setting_name(model, variant):
    return ", ".join(filter(None, (model_name(model), variant_name(variant))))


def style_of(score):
    return "accuracy" if score.endswith("accuracy") else "loss"


def word_of(fields):
    """The verdict as a table prints it."""
    verdict, edge = fields["verdict"], "; best rate at the edge" * bool(fields["edge"])
    adjusted = fields["adjusted"]
    p = "" if adjusted is None else f", p = {adjusted:.2g}"
    if verdict == "seen, not tested":
        out = {"holds": "as claimed", "undecided": "open"}
        out |= dict.fromkeys(REFUTED, "not as claimed")
        return f"{verdict}: {out[fields['reading']]}{edge}"
    if verdict == "undecided":
        seeds = f"; {fields['seeds']} seeds on one device might do" * bool(fields["seeds"])
        return verdict + (p or ", no interval") + seeds + edge
    if fields["basis"] == "a fact":
        return f"{verdict}, a fact{edge}"
    narrow = fields["rests"] == "networks" and verdict != "not measured"
    return verdict + " for these networks" * narrow + p + edge
