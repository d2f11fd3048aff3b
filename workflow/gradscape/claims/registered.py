"""The claims that stood when a run was made: `registered.json`, by the code's revision.

The workflow writes it before its first job: {revision: {study: {claim: digest}}}, also of
studies without claims. What stands there for a revision is never added to, since runs may
have been made since. A claim whose runs all began at revisions that list it was registered
before them.
"""

import json
from collections.abc import Mapping

from gradscape.base.files import json_sha256, write_file
from gradscape.base.paths import Results
from gradscape.config.experiment import Experiment
from gradscape.runs.record import reading, revision

ASKED = ("left", "is", "right", "margin", "relative_margin", "same", "given")
DIGITS, OLD_DIGITS = 16, 12  # of a digest; the older ones leave out `given`
Registered = Mapping[str, Mapping[str, Mapping[str, str]]]


def digest(claim: dict, digits: int = DIGITS) -> str:
    """Changes with what a claim asks, not with how it is told."""
    known = ASKED[:-1] if digits == OLD_DIGITS else ASKED
    return json_sha256({key: claim[key] for key in known if key in claim})[:digits]


def read(results: Results) -> Registered:
    """Raises `Damaged` for a file that is none of ours."""
    if not results.registered.exists():
        return {}
    with reading(results.registered):
        found = json.loads(results.registered.read_text("utf-8"))
        for studies in found.values():
            for claims in studies.values():
                claims.items()
    return found


def register(experiment: Experiment, results: Results) -> None:
    """Write down which claims stand before runs are made at this revision."""
    commit = revision().commit or "unknown"
    known = {name: dict(studies) for name, studies in read(results).items()}
    studies = known.setdefault(commit, {})
    before = json.dumps(studies)
    for study in experiment.studies.values():
        asked = {name: digest(claim) for name, claim in study.claims.items()}
        studies.setdefault(study.name, asked)
    if json.dumps(studies) != before:
        write_file(results.registered, json.dumps(known, indent=1) + "\n")
