"""Tables of the documentation and the schema for editors, from the code: `make docs`.

Each table stands between `<!-- name -->` and `<!-- /name -->`; the rest is written by hand.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any

import yaml

from gradscape.base.paths import CONFIGS, PACKAGE
from gradscape.config.schema import schema
from gradscape.data.datasets import DATASETS
from gradscape.spec.options import Option
from gradscape.spec.registry import declared, names, options, source, tree
from gradscape.spec.settings import SETTINGS

FILES = [CONFIGS / "README.md", Path(__file__).with_name("statistics.md")]
CONSTANT = re.compile(r"^([A-Z_]+) = (\S+)  # (.+)$", re.MULTILINE)
EDITORS = CONFIGS / "schema.json"


def summary(kind: str, name: str) -> str:
    """The first line of a probe's or a figure's file."""
    return (ast.get_docstring(tree(source(kind, name))) or "").splitlines()[0]


def listed(kind: str, name: str) -> str:
    """A function's options: `points` (`21`): along each side of the plane; …"""
    found = (options(kind, name) or {}).values()
    return "; ".join(f"`{o.name}` ({default_text(o)}): {o.help}" for o in found) or "none"


def rows(*lines: tuple[str, ...]) -> str:
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(lines[0]) + "|", *body])


def default_text(option: Option) -> str:
    """The default as Markdown: as YAML writes it, or in words."""
    if option.required:
        return "required"
    if option.default is None:
        return option.unset or "none"
    names = option.named.stored if option.named else {}
    words = {stored: word for word, stored in names.items()}
    return f"`{yaml.safe_dump(words.get(option.default, option.default)).splitlines()[0]}`"


def tables() -> dict[str, str]:
    datasets = [("`dataset`", "training + test images", "size", "classes")]
    for name, (_, f) in DATASETS.items():
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
    settings = [("key", "default", "meaning")]
    settings += [(f"`{o.name}`", default_text(o), o.help) for o in SETTINGS.values()]
    constants = [("constant", "value", "")]
    for module in ("inference", "sides"):
        text = (PACKAGE / "claims" / f"{module}.py").read_text("utf-8")
        found = CONSTANT.findall(text)
        constants += [(f"`{module}.{name}`", value, why) for name, value, why in found]
    made = {
        "constants": constants,
        "settings": settings,
        "datasets": datasets,
        "probes": probes,
        "figures": figures,
    }
    return {name: rows(*lines) for name, lines in made.items()}


def current(text: str) -> str:
    """The file's text with the tables as the code has them now."""
    for name, content in tables().items():
        if f"<!-- {name} -->" not in text:
            continue
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"\n<!-- /{name} -->")
        text = before + start + content + end + after
    return text


def for_editors() -> str:
    """The schema of a configuration as a file holds it, which may extend another: nothing
    is required, and null drops a key."""
    whole = loosened(schema())
    whole["properties"]["extends"] = {"type": "string"}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def loosened(part: Any) -> Any:
    if isinstance(part, str):
        return part.replace(r"\Z", "$")  # the end of a text, as JavaScript writes it
    if isinstance(part, list):
        return [loosened(item) for item in part]
    if not isinstance(part, dict):
        return part
    dropped = {"required", "minProperties"}
    part = {key: loosened(value) for key, value in part.items() if key not in dropped}
    if isinstance(part.get("properties"), dict):
        part["properties"] = {
            key: optional(value, key) for key, value in part["properties"].items()
        }
    if isinstance(part.get("additionalProperties"), dict):
        part["additionalProperties"] = optional(part["additionalProperties"])
    return part


def optional(spec: dict, setting: str = "") -> dict:
    """The value or null; of a setting also what it means, and the names that it takes."""
    spec = {"anyOf": [spec, {"type": "null"}]}
    if setting in SETTINGS:
        spec["description"] = SETTINGS[setting].help
        if named := SETTINGS[setting].named:
            spec["examples"] = list(names(named.kind))
    return spec


if __name__ == "__main__":
    for file in FILES:
        file.write_text(current(file.read_text("utf-8")), "utf-8")
    EDITORS.write_text(for_editors(), "utf-8")
