"""Check finished runs before and after something happens to them, without gradscape's code.

    python tests/check_results.py results/mine > before
    python tests/check_results.py results/mine before

The first call prints the SHA-256 of each file of each finished run, as JSON. The second one
ends with 0 if each of these runs has the same bytes still, or is another one and whole: its
record has its seal, its tables the sums that the record gives, its weights are an archive.
It prints which, a line a run, and ends with 1 for a run that is lost.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path


def files_of(run: Path) -> dict[str, str]:
    """The SHA-256 of each file of a run, by its path in the run's folder."""
    paths = sorted(path for path in run.rglob("*") if path.is_file())
    seen = {path.relative_to(run).as_posix(): path for path in paths}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in seen.items()
        if not any(part.startswith(".") for part in name.split("/"))
    }


def fault_of(run: Path) -> str:
    """What tells that a run is not whole; empty if nothing does."""
    record = json.loads((run / "run.json").read_text("utf-8"))
    seal = record.pop("record_sha256", None)
    if seal != hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest():
        return "run.json has not its seal"
    found, sums = files_of(run), record["sha256"]
    needed = {"metrics.csv", "test.csv", "steps.npz", "gradients.npz"}
    if missing := needed - sums.keys():
        return f"{sorted(missing)} have no sum"
    for name, digest in sums.items():
        if found.get(name) != digest:
            return f"{name} has not its sum"
    if not zipfile.is_zipfile(run / "model.pt"):
        return "model.pt is no archive"
    return ""


def state_of(run: Path, before: dict[str, str]) -> str:
    try:
        after = files_of(run)
        if before.items() <= after.items():
            return "as before"
        if fault := fault_of(run):
            changed = [name for name in before if after.get(name) != before[name]]
            return f"lost: {fault}; others than before: {changed}"
        return "another, whole"
    except (OSError, ValueError, KeyError) as error:
        return f"lost: {error!r}"


def main(results: str, before: str | None = None) -> None:
    folder = Path(results)
    if before is None:
        records = sorted(folder.glob("runs/*/[!.]*/run.json"))
        runs = {path.parent.relative_to(folder).as_posix(): path.parent for path in records}
        print(json.dumps({name: files_of(run) for name, run in runs.items()}))
        return
    known = json.loads(Path(before).read_text("utf-8"))
    states = {name: state_of(folder / name, files) for name, files in known.items()}
    print(*(f"{name}: {state}" for name, state in states.items()), sep="\n")
    sys.exit(any(state.startswith("lost") for state in states.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
