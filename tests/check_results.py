"""Check the runs of a results folder before and after something happens to it, without
gradscape's code.

    python tests/check_results.py results/mine > before
    python tests/check_results.py results/mine before

A run is whole if its record has its seal, its tables have the sums that the record gives,
and its weights, if any, are an archive. The first call prints the SHA-256 of each file of
each whole run, as JSON. The second one tells, a line a run, whether it has the same bytes
still or is another one: whole, with every file that it had but for its probes'. It ends
with 1 if a run is neither.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path


def files_of(run: Path) -> dict[str, str]:
    """The SHA-256 of each file of a run but links, by its path in the run's folder."""
    paths = (path for path in run.rglob("*") if path.is_file() and not path.is_symlink())
    seen = {path.relative_to(run).as_posix(): path for path in sorted(paths)}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in seen.items()
        if not any(part.startswith(".") for part in name.split("/"))
    }


def fault_of(run: Path, files: dict[str, str]) -> str:
    """What tells that a run with these files is not whole; empty if nothing does."""
    if "run.json" not in files:
        return "run.json is missing"
    try:
        record = json.loads((run / "run.json").read_text("utf-8"))
        seal, sums = record.pop("record_sha256"), dict(record["sha256"])
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        return f"run.json is no record ({error!r})"
    if seal != hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest():
        return "run.json has not its seal"
    needed = {"metrics.csv", "test.csv", "steps.npz", "gradients.npz"}
    if missing := needed - sums.keys():
        return f"{sorted(missing)} have no sum"
    for name, digest in sums.items():
        if files.get(name) != digest:
            return f"{name} has not its sum"
    if "model.pt" in files and not zipfile.is_zipfile(run / "model.pt"):
        return "model.pt is no archive"
    return ""


def state_of(run: Path, before: dict[str, str]) -> str:
    after = files_of(run)
    if before.items() <= after.items():
        return "as before"
    changed = [name for name in before if after.get(name) != before[name]]
    gone = [n for n in changed if n not in after and not n.startswith("probes/")]
    fault = fault_of(run, after) or (f"{gone} are gone" if gone else "")
    return f"lost: {fault}; others than before: {changed}" if fault else "another, whole"


def main(results: str, before: str | None = None) -> None:
    folder = Path(results)
    if before is None:
        found = {run: files_of(run) for run in sorted(folder.glob("runs/*/[!.]*"))}
        whole = {run: files for run, files in found.items() if not fault_of(run, files)}
        print(json.dumps({run.relative_to(folder).as_posix(): whole[run] for run in whole}))
        return
    known = json.loads(Path(before).read_text("utf-8"))
    states = {name: state_of(folder / name, files) for name, files in known.items()}
    print(*(f"{name}: {state}" for name, state in states.items()), sep="\n")
    sys.exit(any(state.startswith("lost") for state in states.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
