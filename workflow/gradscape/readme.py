"""The tables of `config/README.md`, from the code: `python -m gradscape.readme`.

Each stands between `<!-- name -->` and `<!-- /name -->`; the rest is written by hand.
"""

import ast

from gradscape.data.datasets import DATASETS
from gradscape.layout import CONFIGS
from gradscape.options import default_text, table
from gradscape.registry import declared, names, options, source, tree
from gradscape.settings import SETTINGS

FILE = CONFIGS / "README.md"


def summary(kind: str, name: str) -> str:
    """What a probe measures or a figure shows: the first line of its file."""
    return (ast.get_docstring(tree(source(kind, name))) or "").splitlines()[0]


def listed(kind: str, name: str) -> str:
    """A function's options: `points` (`21`): along each side of the plane; …"""
    found = (options(kind, name) or {}).values()
    return "; ".join(f"`{o.name}` ({default_text(o)}): {o.help}" for o in found) or "none"


def rows(*lines: tuple[str, ...]) -> str:
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(lines[0]) + "|", *body])


def tables() -> dict[str, str]:
    datasets = [("`dataset`", "training + test images", "size", "classes")]
    for name, entry in DATASETS.items():
        f = entry.facts
        size = f"{f.size} × {f.size} × {f.channels}"
        datasets.append((f"`{name}`", f"{f.train:,} + {f.test:,}", size, str(f.classes)))
    probes = [("probe", "measures", "options (default)")]
    for name in names("probe"):
        probes.append((f"`{name}`", summary("probe", name), listed("probe", name)))
    figures = [("`draw`", "shows", "of the probe", "options (default)")]
    for name in names("figure"):
        drawn = ", ".join(f"`{p}`" for p in declared("figure", name, "PROBES", []))
        figures.append(
            (f"`{name}`", summary("figure", name), drawn, listed("figure", name))
        )
    made = {"datasets": datasets, "probes": probes, "figures": figures}
    return {"settings": table(SETTINGS.values())} | {k: rows(*v) for k, v in made.items()}


def current(text: str) -> str:
    """The file's text with the tables as the code has them now."""
    for name, content in tables().items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"\n<!-- /{name} -->")
        text = before + start + content + end + after
    return text


if __name__ == "__main__":
    FILE.write_text(current(FILE.read_text()))
