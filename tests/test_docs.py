"""What the documents say of the code is true of it."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from conftest import ROOT, finished, succeed
from gradscape.base.paths import CONFIGS, HOME, PACKAGE, SCHEMA
from gradscape.claims.metrics import METRICS
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml
from gradscape.figures.drawing import draw
from gradscape.pipeline.times import expected
from gradscape.runs.run import finished_runs
from gradscape.spec.registry import TABLES, names, own_module
from gradscape.spec.settings import SETTINGS

readme = own_module(ROOT / "docs/generate.py")
CONFIGURATION = readme.FILES[0].read_text()


def test_the_tables_in_documents_are_the_codes():
    tables = {"settings", "datasets", "probes", "figures", "constants"}
    assert set(readme.tables()) == tables
    texts = [file.read_text() for file in readme.FILES]
    assert {
        name for name in tables for text in texts if f"<!-- {name} -->" in text
    } == tables
    assert [readme.current(text) for text in texts] == texts, "call `make docs`"


def test_the_schema_for_editors_is_the_codes_and_takes_the_configurations():
    assert readme.EDITORS.read_text() == readme.for_editors(), "call `make docs`"
    schema = json.loads(readme.EDITORS.read_text())
    editor = Draft202012Validator(schema)
    for path in [*CONFIGS.glob("*.yaml"), CONFIGS / "new" / "config.yaml"]:
        config = yaml.safe_load(path.read_text())
        assert editor.is_valid(config), path
    config["studies"]["wide"]["epoch"] = 3
    assert not editor.is_valid(config)
    model = schema["$defs"]["settings"]["properties"]["model"]
    assert "vgg38-bn-rc" in model["examples"]
    assert "`gradscape models`" in model["description"]


def test_plain_make_says_what_it_can_do():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    said = succeed("make", cwd=ROOT)
    assert all(
        f"make {target}" in said for target in {*targets} - {"help", "graphviz", "poppler"}
    )


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
    for name in (*METRICS, *names("table")):
        assert f"`{name}`" in CONFIGURATION, name


def test_defaults_are_written_as_a_configuration_reads_them():
    for option in SETTINGS.values():
        if not option.required and option.default is not None:
            said = yaml.safe_load(readme.default_text(option).strip("`"))
            assert option.as_stored(said) == option.default


def test_what_to_touch_to_add_something():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for kind, (pattern, table) in TABLES.items():
        pattern = pattern.removeprefix(f"{HOME}/")
        (row,) = (r for r in page.splitlines() if f"| `{pattern}`" in r)
        assert table is None or f"`{table}`" in row, kind
    assert all(f"| `{path.name}/` |" in page for path in rooms())


def test_every_file_that_the_architecture_names_is_there():
    page = (ROOT / "docs" / "architecture.md").read_text()
    places = (PACKAGE, ROOT, ROOT / "workflow")
    for path in re.findall(r"`(\w+/[\w/]+\.(?:py|smk|js|yaml))`", page):
        assert any((place / path).exists() for place in places), path


def rooms() -> list[Path]:
    return [path.parent for path in PACKAGE.glob("*/__init__.py")]


def test_the_picture_of_the_rules_has_them_all():
    picture = (ROOT / "docs" / "rulegraph.svg").read_text()
    rules = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    names = set(re.findall(r"^rule (\w+):", "\n".join(rules), re.M)) - {"report"}
    drawn = set(re.findall(r">(\w+)</text>", picture))
    assert drawn == names | {"all"}, "call `make rulegraph`"


def test_a_new_project_is_as_the_page_says():
    page = (ROOT / "docs" / "your-own-study.md").read_text()
    for path in (CONFIGS / "new").iterdir():
        assert f"| `{path.name}` |" in page
    config = read_yaml(CONFIGS / "new" / "config.yaml")
    (study,) = config["studies"].values()
    assert "width-wins" in study["claims"] and list(config["studies"]) == ["wide"]
    for named in re.findall(r"`gradscape (\w+)", page):
        assert named in cli.parser().format_help()


def test_a_model_and_a_claim_are_added_as_the_page_says(tmp_path, capsys):
    """By these blocks alone, to a copy of the package and to the study of the claim."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", page, re.S))
    for folder in ("workflow", "report", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "workflow/gradscape/models/flat.py").write_text(blocks["python"])
    copy = {"PYTHONPATH": str(tmp_path / "workflow")}
    listed = succeed(sys.executable, "-m", "gradscape", "models", cwd=tmp_path, **copy)
    assert re.search(r"^flat +308,310 ", listed, re.M)
    with (tmp_path / "report/claims/degradation.yaml").open("a") as file:
        file.write(blocks["yaml"])
    (name,) = yaml.safe_load(blocks["yaml"])
    code = "from gradscape.config.experiment import Experiment as E; "
    code += "study = E.from_file('config/demo.yaml').studies['degradation']; "
    code += f"print(study.claims[{name!r}]['is'])"
    assert succeed(sys.executable, "-c", code, cwd=tmp_path, **copy) == "below\n"


def test_hosted_checks_name_their_actions_by_commit_and_targets_that_there_are():
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used and all(re.search(r"@[0-9a-f]{40}$", action) for action, _ in used)
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", tag) for _, tag in used)
    matrix = yaml.safe_load(text)["jobs"]["make"]["strategy"]["matrix"]
    wanted = {*matrix["target"], *(more["target"] for more in matrix["include"])}
    assert wanted <= {*re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)}
    assert (ROOT / "LICENSES/MIT.txt").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_site_has_every_document():
    nav = (ROOT / "mkdocs.yml").read_text()
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), readme.FILES[0]]
    named = re.findall(r": ([\w/-]+\.md)$", nav, re.M)
    assert {str(page.relative_to(ROOT)) for page in pages} == {*named}


def test_two_factors_in_one_figure_as_the_page_has_them(tmp_path):
    page = (ROOT / "docs" / "your-own-study.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    config = {"title": "T", "results": "results/x"} | yaml.safe_load(block)
    experiment = Experiment(config, tmp_path)
    (study,) = experiment.studies.values()
    for run in study.runs:
        best = 0.5 + run.settings.width / 1000
        finished(experiment, study.name, [run], tmp_path, accuracies=(0.1, best))
    told = {}
    for figure in study.figures:
        files = [tmp_path / f"{figure.name}.{kind}" for kind in ("svg", "txt")]
        draw(figure, finished_runs(study, experiment.results), files)
        told[figure.name] = files[1].read_text()
    assert told["map"].startswith("Test accuracy (%) at the best epoch by width and weight")
    assert "a line for each width" in told["lines"] and "seeds 0, 1 and 2" in told["map"]
    svg = (tmp_path / "lines.svg").read_text()
    for words in ("width 8", "width 16", "width 32", "weight decay"):
        assert f">{words}</text>" in svg


def test_the_notebook_runs_and_draws_its_pictures(monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(ROOT / "docs")
    cells = json.loads(Path("runs.ipynb").read_text())["cells"]
    drawn, names = [], {}
    monkeypatch.setattr(plt, "legend", lambda: drawn.append(plt.gca().lines))
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
            plt.close()
            assert cell["outputs"] or "=" in cell["source"], "execute and save it"
    # Three networks in three seeds and a guess; three networks.
    assert [len(lines) for lines in drawn] == [10, 3]


def test_the_readme_says_what_a_students_document_takes():
    """In its first 60 lines; trainings as planned, hours as `gradscape plan` has them."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 130
    text = "\n".join(lines[:60])
    config = {"extends": "config/cpu.yaml", "max_seeds": 1, "results": "results/nowhere"}
    student = Experiment(config)
    assert "--cores 2 --configfile config/cpu.yaml --config max_seeds=1" in text
    hours, _ = expected(student, "CPU AVX512")
    for course in names("course"):
        (row,) = re.findall(rf"results/cpu/{course}\.pdf` \| (\d+) \| ([\d.]+) \|", text)
        studies = [study.name for study in student.documents(course)]
        runs = [run for run in hours if run.split("/")[0] in studies]
        assert int(row[0]) == len(runs), course
        assert float(row[1]) == pytest.approx(sum(map(hours.get, runs)) / 7200, abs=0.1)


def test_links_lead_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), readme.FILES[0]]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document}: {target}"
