"""Where the numbers come from: revisions, versions, devices and hours of the runs."""

from collections import Counter

from gradscape.report import prose as words
from gradscape.runs.record import MIGRATION
from gradscape.runs.run import FinishedRun


def revisions(runs: list[FinishedRun]) -> dict[str, int]:
    """How many runs each revision of the code trained, the one with most first."""
    commits = ((run.record.revision.commit or "unknown")[:10] for run in runs)
    return dict(Counter(commits).most_common())


def colophon(runs: list[FinishedRun]) -> list[tuple[str, str]]:
    """Names and values."""
    records = [run.record for run in runs]
    versions = (" ".join(item) for r in records for item in r.versions.items())
    found = {
        "Revisions": revisions(runs),
        "Versions": Counter(versions),
        "Devices": Counter(record.backend.kind for record in records),
        "Precision": Counter(record.backend.precision for record in records),
    }
    rows = [(name, counted(values, len(runs))) for name, values in found.items() if values]
    older = sum(record.by_minibatch for record in records)
    if older and any(record.version > 1 for record in records):
        over = f"of {words.count(older, 'older run')} over minibatches, not over images"
        rows.append(("Training means", f"{over}; no comparison mixes them"))
    minutes = sum(record.seconds_training for record in records) / 60  # probing included
    took = words.count(round(minutes), "minute") if minutes >= 1 else "less than a minute"
    if minutes >= 60:
        took = f"{minutes / 60:.1f} hours"
    rows.append(("Training and probing", f"{took} in all"))
    if late := sum(record.sealed_at == MIGRATION for record in records):
        made = f"made on migration for {words.count(late, 'run')}"
        rows.append(("Digests", f"{made}, so they prove no provenance"))
    return rows


def counted(values: dict[str, int], runs: int) -> str:
    """`a, b (3 runs)`: how many of the runs, where it is not all."""
    return ", ".join(
        value + f" ({words.count(count, 'run')})" * (count < runs)
        for value, count in values.items()
    )
