"""The published numbers once more, by code of its own, which notices what was changed."""

import csv
import hashlib
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import independent
from conftest import ROOT

pytestmark = pytest.mark.published
PUBLISHED = ROOT / "results/published"
FAULTS = 50
REDUCED = ["theory", "folding", "initialisation", "landscape-paper"]  # of cpu/
# What LaTeX does not print, though it has digits.
UNPRINTED = re.compile(
    r"\\(?:label|ref|includegraphics|cite[a-z]*|nocite|begin|end|cmidrule|multicolumn|href"
    r"|setlength|vspace)(?:\([a-z]+\))?(?:\[[^]]*\])?\{[^{}]*\}+|\d*\.?\d+(?:mm|pt|em)"
    r"|\{-[\d–-]+\}|\\linewidth"
)
DIGITS = re.compile(r"(?<![A-Za-z\d^{_-])\d(?:[\d.,]*\d)?")


@pytest.mark.parametrize("folder", ["cpu", "engine", "h200"])
def test_every_printed_number_is_what_the_runs_say(folder, capsys):
    assert not independent.check(PUBLISHED / folder)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len([*(PUBLISHED / folder).glob("*.tex")])
    assert all(line.endswith(", 0 unexplained") for line in lines)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """h200/ and a few studies of cpu/ without their PDFs, both without a mismatch."""
    out = tmp_path_factory.mktemp("published")
    without = shutil.ignore_patterns("*.pdf")
    h200 = shutil.copytree(PUBLISHED / "h200", out / "h200", ignore=without)
    cpu = out / "cpu"
    cpu.mkdir()
    config = json.loads((PUBLISHED / "cpu/config.json").read_text())
    config |= {
        "courses": {},
        "studies": {name: config["studies"][name] for name in REDUCED},
    }
    (cpu / "config.json").write_text(json.dumps(config))
    shutil.copy(PUBLISHED / "cpu/registered.json", cpu)
    for name in REDUCED:
        for kind in ("runs", "tables"):
            shutil.copytree(PUBLISHED / "cpu" / kind / name, cpu / kind / name)
        (cpu / "claims").mkdir(exist_ok=True)
        shutil.copy(PUBLISHED / f"cpu/claims/{name}.json", cpu / "claims")
        shutil.copy(PUBLISHED / f"cpu/{name}.tex", cpu)
    table = pd.read_csv(PUBLISHED / "cpu/claims/claims.csv", dtype=str)
    table = table[table["study"].isin(REDUCED)]
    table.to_csv(cpu / "claims/claims.csv", index=False)
    for folder in (h200, cpu):
        assert not independent.check(folder, echo=lambda _: None)
    return {"h200": h200, "cpu": cpu}


@pytest.mark.parametrize("number", range(FAULTS))
def test_a_planted_fault_is_caught(small, number, tmp_path):
    rng = random.Random(number)
    plant = PLANTED[number % len(PLANTED)]
    folders = getattr(plant, "folders", ("h200", "cpu"))
    folder = shutil.copytree(small[rng.choice(folders)], tmp_path / "copy")
    told = plant(folder, rng)
    assert independent.check(folder, echo=lambda _: None), f"{plant.__name__}: {told}"


# What is planted. Each changes a folder and says where.


def only(*folders):
    def marked(plant):
        plant.folders = folders
        return plant

    return marked


def document(folder: Path, rng) -> tuple[Path, str, str]:
    path = rng.choice(sorted(folder.glob("*.tex")))
    head, begin, body = path.read_text("utf-8").partition(r"\begin{document}")
    return path, head + begin, body


def other_digits(number: str, rng) -> str:
    at = rng.choice([n for n, character in enumerate(number) if character.isdigit()])
    digit = rng.choice([d for d in "123456789" if d != number[at]])
    return number[:at] + digit + number[at + 1 :]


def printed(body: str) -> list[re.Match]:
    hidden = [found.span() for found in UNPRINTED.finditer(body)]
    return [
        found
        for found in DIGITS.finditer(body)
        if not any(start <= found.start() < end for start, end in hidden)
    ]


def retyped(folder, rng, where=lambda line: True):
    """A digit of a document."""
    path, head, body = document(folder, rng)
    numbers = [
        found
        for found in printed(body)
        if where(body[body.rfind("\n", 0, found.start()) : body.find("\n", found.end())])
    ]
    found = rng.choice(numbers)
    new = other_digits(found[0], rng)
    path.write_text(head + body[: found.start()] + new + body[found.end() :], "utf-8")
    return (
        f"{path.name}: {found[0]} → {new} behind {body[found.start() - 50 : found.start()]}"
    )


def retyped_in_a_table(folder, rng):
    return retyped(
        folder, rng, lambda line: line.count(" & ") > 2 and "toprule" not in line
    )


def retyped_in_a_caption(folder, rng):
    return retyped(folder, rng, lambda line: r"\includegraphics" in line)


def exchanged_cells(folder, rng):
    """Two numbers of a table's row."""
    rows = []
    while not rows:  # means over seeds have no links
        path, head, body = document(folder, rng)
        rows = [row for row in body.split("\n") if row.count("metrics.csv}{") > 2]
    row = rng.choice(rows)
    cells = list(re.finditer(r"metrics\.csv\}\{([\d.]+)\}", row))
    pairs = [(a, b) for a in cells for b in cells if a.start() < b.start() and a[1] != b[1]]
    a, b = rng.choice(pairs)
    new = row[: a.start(1)] + b[1] + row[a.end(1) : b.start(1)] + a[1] + row[b.end(1) :]
    path.write_text(head + body.replace(row, new), "utf-8")
    return f"{path.name}: {a[1]} and {b[1]}"


def dropped_row(folder, rng):
    path, head, body = document(folder, rng)
    rows = [
        row for row in body.split("\n") if row.endswith(r"\\") and "metrics.csv}{" in row
    ]
    rows += [row for row in body.split("\n") if row.endswith(r"\\") and r"\emph{" in row]
    row = rng.choice(rows)
    path.write_text(head + body.replace(row + "\n", ""), "utf-8")
    return f"{path.name}: {row[:60]}"


def swapped_sentence(folder, rng):
    """A claim told by a sentence of another verdict."""
    found = []
    for path in sorted(folder.glob("*.tex")):
        text = path.read_text("utf-8")
        for file in sorted((folder / "claims").glob("*.json")):
            claims = ROOT / f"report/claims/{file.stem}.yaml"
            claims = yaml.safe_load(claims.read_text("utf-8")) if claims.exists() else {}
            for claim in claims.values():
                for told in (claim, claim.get("abstract", {}), claim.get("ending", {})):
                    kinds = {
                        k: told[k] for k in ("holds", "fails", "undecided") if k in told
                    }
                    for kind, words in kinds.items():
                        start = words.split("[")[0].split("$")[0]
                        if len(start) > 25 and text.count(start) == 1:
                            others = [
                                t for k, t in kinds.items() if k != kind and len(t) > 40
                            ]
                            found += [(path, start, other) for other in others]
    path, start, other = rng.choice(found)
    text = path.read_text("utf-8")
    at = text.index(start)
    new = re.sub(r"\[[a-z ]+\]", "0.5", other)
    path.write_text(text[:at] + new + text[text.index("\n", at) :], "utf-8")
    return f"{path.name}: {new}"


def stale_cell(folder, rng, table="results.csv"):
    path = rng.choice(sorted(folder.glob(f"tables/*/{table}")))
    frame = pd.read_csv(path)
    columns = [c for c in frame if frame[c].dtype.kind == "f" and frame[c].notna().any()]
    column = rng.choice(columns)
    row = rng.choice(list(frame.index[frame[column].notna()]))
    frame.loc[row, column] *= 1.01
    frame.loc[row, column] += 1e-6
    frame.to_csv(path, index=False)
    return f"{path}: {row}, {column}"


@only("h200")
def stale_smoothness(folder, rng):
    return stale_cell(folder, rng, "smoothness.csv")


def a_run(folder, rng, having="run.json") -> Path:
    return rng.choice(sorted(p.parent for p in folder.glob(f"runs/*/*/{having}")))


def seal(folder: Path, **changes) -> None:
    """The record of a run whose files were changed, as if it had been written so."""
    record = json.loads((folder / "run.json").read_text("utf-8")) | changes
    for name in record["sha256"]:
        record["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "run.json").write_text(json.dumps(record, indent=2), "utf-8")


@only("cpu")
def exchanged_seeds(folder, rng, resealed=False):
    runs = sorted((folder / "runs/theory").iterdir())
    pairs = [
        (a, b)
        for a in runs
        for b in runs
        if a.name < b.name and a.name.split("_")[0] == b.name.split("_")[0]
    ]
    one, two = rng.choice(pairs)
    kept = one.with_name("kept")
    one.rename(kept)
    two.rename(one)
    kept.rename(two)
    for run in (one, two) if resealed else ():
        settings = json.loads((run / "run.json").read_text("utf-8"))["settings"]
        seed = int(re.search(r"seed(\d+)", run.name)[1])
        seal(run, run=run.name, settings=settings | {"seed": seed})
    return f"{one.name} and {two.name}"


@only("cpu")
def exchanged_seeds_resealed(folder, rng):
    return exchanged_seeds(folder, rng, resealed=True)


def edited_metrics(folder, rng):
    """An epoch's training loss, or the best epoch's scores, sealed again."""
    run = a_run(folder, rng)
    table = pd.read_csv(run / "metrics.csv")
    column = rng.choice(["train_loss", "train_accuracy", "val_loss", "val_accuracy"])
    best = int(table["val_accuracy"].fillna(-1).idxmax())
    row = rng.randrange(len(table)) if column == "train_loss" else best
    table.loc[row, column] = table.loc[row, column] * 1.01 + 0.001
    table.to_csv(run / "metrics.csv", index=False)
    seal(run)
    return f"{run.name}: {column} of epoch {row + 1}"


def edited_without_a_seal(folder, rng):
    path = a_run(folder, rng) / rng.choice(["metrics.csv", "test.csv", "timing.csv"])
    path.write_text(path.read_text().replace("1", "2", 1))
    return f"{path}"


def edited_test(folder, rng):
    run = a_run(folder, rng)
    table = pd.read_csv(run / "test.csv")
    table.loc[0, rng.choice(["test_loss", "test_accuracy"])] += 0.002
    table.to_csv(run / "test.csv", index=False)
    seal(run)
    return run.name


def edited_array(run: Path, file: str, name: str, change) -> None:
    with np.load(run / file) as packed:
        arrays = {key: packed[key].copy() for key in packed.files}
    change(arrays[name])
    np.savez_compressed(run / file, **arrays)
    seal(run)


def edited_steps(folder, rng):
    """A step's loss."""
    run, share = a_run(folder, rng), rng.random()

    def change(losses):
        losses[int(share * len(losses))] += 0.05

    edited_array(run, "steps.npz", "loss", change)
    return f"{run.name}: {share}"


def edited_predictions(folder, rng):
    """Whether an image is right."""
    run, image = a_run(folder, rng, "predictions.npz"), rng.randrange(9000)

    def change(right):
        right[image] = not right[image]

    edited_array(run, "predictions.npz", "right", change)
    return f"{run.name}: {image}"


@only("h200")
def edited_gradients(folder, rng):
    """The last epoch's gradient of the first or the last layer, which a caption names."""
    run, layer = next((folder / "runs/degradation").iterdir()), rng.choice([0, -1])

    def change(gradients):
        gradients.reshape(100, -1)[-1, layer] *= 1.1

    edited_array(run, "gradients.npz", "mean_absolute_gradient", change)
    return f"{layer}"


@only("cpu")
def edited_probe(folder, rng):
    """A convolution's gradient before training."""
    run = rng.choice(
        sorted(p.parents[1] for p in folder.glob("runs/theory/vgg38_*/probes/signal.csv"))
    )
    table = pd.read_csv(run / "probes/signal.csv")
    rows = table.index[table["moment"] == "initialisation"]
    table.loc[rows[1], "gradient_mean_square"] *= 2
    table.to_csv(run / "probes/signal.csv", index=False)
    return run.name


def edited_record(folder, rng):
    run = a_run(folder, rng)
    record = json.loads((run / "run.json").read_text("utf-8"))
    key = rng.choice(["parameters", "learning_rate", "seed", "epochs", "commit", "kind"])
    if key == "parameters":
        seal(run, parameters=record["parameters"] + 1)
    elif key == "commit":
        seal(run, revision=record["revision"] | {"commit": "0" * 40})
    elif key == "kind":
        seal(run, backend=record["backend"] | {"kind": "NVIDIA A100"})
    else:
        settings = record["settings"]
        seal(run, settings=settings | {key: settings[key] + 1})
    return f"{run.name}: {key}"


def removed_run(folder, rng):
    run = a_run(folder, rng)
    shutil.rmtree(run)
    return run.name


def in_claims(folder, rng, keys, change):
    """A field of a claim's JSON."""
    path = rng.choice(sorted((folder / "claims").glob("landscape*.json")))
    content = json.loads(path.read_text("utf-8"))
    found = [
        (c, key) for c in content["claims"] for key in keys if c[key] not in (None, [], "")
    ]
    claim, key = rng.choice(found)
    claim[key] = change(claim[key])
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    return f"{path.name}: {claim['name']}, {key}"


def edited_verdict(folder, rng):
    words = ["holds", "does not hold", "undecided", "seen, not tested", "not measured"]

    def change(word):
        return rng.choice([w for w in words if w != word])

    return in_claims(folder, rng, ["verdict", "reading"], change)


def edited_interval(folder, rng):
    return in_claims(
        folder, rng, ["low", "high", "p", "adjusted"], lambda x: x * 1.02 + 1e-9
    )


def edited_side(folder, rng):
    keys = ["left", "right"]
    return in_claims(folder, rng, keys, lambda x: [x[0] * 1.001, *x[1:]])


def edited_sentence(folder, rng):
    def change(sentence):
        numbers = list(DIGITS.finditer(sentence))
        if not numbers:
            return f"{sentence} By 3.1 points."
        found = rng.choice(numbers)
        new = other_digits(found[0], rng)
        return sentence[: found.start()] + new + sentence[found.end() :]

    return in_claims(folder, rng, ["sentence"], change)


def changed_threshold(folder, rng):
    def change(question):
        return question | {"margin": question.get("margin", 0) + 0.1}

    return in_claims(folder, rng, ["question"], change)


def dropped_claim(folder, rng):
    path = folder / "claims/claims.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    dropped = rows.pop(rng.randrange(1, len(rows)))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return dropped[1]


def edited_csv(folder, rng):
    path = folder / "claims/claims.csv"
    table = pd.read_csv(path)
    column = rng.choice(["left", "right", "effect", "low", "high", "p"])
    row = rng.choice(list(table.index[table[column].notna() & (table[column] != 0)]))
    table.loc[row, column] *= 1.01
    table.to_csv(path, index=False)
    return f"{row}, {column}"


def registered_late(folder, rng):
    """A claim that stood before its runs is taken out of what was registered."""
    path = folder / "registered.json"
    content = json.loads(path.read_text("utf-8"))
    verdicts = sorted((folder / "claims").glob("*.json"))
    found = [
        (file.stem, claim["name"])
        for file in verdicts
        for claim in json.loads(file.read_text("utf-8"))["claims"]
        if claim["asked"] == "before" and claim["p"] is not None
    ]
    study, name = rng.choice(found)
    for studies in content.values():
        studies.get(study, {}).pop(name, None)
    path.write_text(json.dumps(content), "utf-8")
    return f"{study}/{name}"


PLANTED = [
    retyped, retyped_in_a_table, retyped_in_a_caption, exchanged_cells, dropped_row,
    swapped_sentence, stale_cell, stale_smoothness, exchanged_seeds,
    exchanged_seeds_resealed, edited_metrics, edited_without_a_seal, edited_test,
    edited_steps, edited_predictions, edited_gradients, edited_probe, edited_record,
    removed_run, edited_verdict, edited_interval, edited_side, edited_sentence,
    changed_threshold, dropped_claim, edited_csv, registered_late,
]  # fmt: skip
