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
    seconds = sum(r.seconds_training + (r.seconds_probing or 0) for r in records)
    hours = seconds / 3600
    found = {
        "Revisions": revisions(runs),
        "Versions": Counter(
            f"{name} {version}"
            for record in records
            for name, version in record.versions.items()
        ),
        "Devices": Counter(record.backend.kind for record in records),
        "Precision": Counter(record.backend.precision for record in records),
    }
    rows = [(name, counted(values, len(runs))) for name, values in found.items() if values]
    minutes = words.count(round(60 * hours), "minute") if hours >= 1 / 60 else "seconds"
    took = f"{hours:.1f} hours" if hours >= 1 else minutes
    rows.append(("Training", f"{took} in all"))
    if late := sum(record.sealed_at == MIGRATION for record in records):
        made = f"{words.count(late, 'run')} were made on migration: they are no provenance"
        rows.append(("Digests", f"those of {made}"))
    return rows


def counted(values: dict[str, int], runs: int) -> str:
    """`a, b (3 runs)`: how many of the runs, where it is not all."""
    parts = []
    for value, count in values.items():
        some = f" ({words.count(count, 'run')})" if count < runs else ""
        parts.append(f"{value}{some}")
    return ", ".join(parts)
