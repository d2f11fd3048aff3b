"""YAML and JSON files as mappings, or one sentence that names the file."""

import json
from pathlib import Path

import yaml

from gradscape.errors import GradscapeError


def load_yaml(text: str):
    # By C where PyYAML was built with it: ten times as fast.
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_yaml(path: Path) -> dict:
    # JSON by its own reader: to YAML, the 1e-05 that JSON writes is text.
    read = json.loads if path.suffix == ".json" else load_yaml
    try:
        content = read(path.read_text())
    except OSError as error:
        raise GradscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GradscapeError(f"{path}: cannot be parsed ({reason})") from None
    if not isinstance(content, dict):
        raise GradscapeError(f"{path}: is not a mapping of keys to values")
    return content
