"""What the documents say of the code is true of it."""

import re
from collections.abc import Iterator

import pytest
import yaml

from conftest import ROOT
from gradscape import readme
from gradscape.layout import SCHEMA
from gradscape.options import default_text
from gradscape.registry import names
from gradscape.settings import SETTINGS

CONFIGURATION = readme.FILE.read_text()


def test_the_configurations_tables_are_the_codes():
    assert set(readme.tables()) == {"settings", "datasets", "probes", "figures"}
    assert readme.current(CONFIGURATION) == CONFIGURATION, "call `make docs`"


def keys(schema: object) -> Iterator[str]:
    """Every key that a part of a schema names, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from keys(part)


def test_every_key_of_a_configuration_is_explained():
    known = {*keys(yaml.safe_load(SCHEMA.read_text())), *SETTINGS}
    assert {"data_dir", "claims", "measure", "relative_margin", "patience"} < known
    for key in known:
        assert re.search(rf"`{key}`|[`{{ ]{key}: ", CONFIGURATION), key


@pytest.mark.parametrize(
    "kind", ["split", "augmentation", "normalisation", "loss", "optimiser", "schedule"]
)
def test_every_name_that_a_setting_takes_is_named(kind):
    (row,) = (o.help for o in SETTINGS.values() if o.name == kind)
    assert all(f"`{name}`" in row for name in names(kind))


def test_every_metric_and_table_is_explained():
    for name in (*names("metric"), *names("table")):
        assert f"`{name}`" in CONFIGURATION, name


def test_defaults_are_written_as_a_configuration_reads_them():
    for option in SETTINGS.values():
        if not option.required and option.default is not None:
            assert yaml.safe_load(default_text(option).strip("`")) == option.default


def test_links_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), readme.FILE]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document}: {target}"
