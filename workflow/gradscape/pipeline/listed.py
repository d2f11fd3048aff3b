"""The list of results in `snakemake --report`: title, kind, name and caption."""

import re

from gradscape.config.experiment import Experiment
from gradscape.spec.registry import short


class Listed:
    """Functions of a result's wildcards."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment

    def category(self, wildcards) -> str:
        """A study's place and title: the list is sorted by them."""
        place = list(self.experiment.studies).index(wildcards.study) + 1
        return f"{place:02d} {unmarked(self.experiment.studies[wildcards.study].title)}"

    def figure(self, wildcards) -> dict[str, str]:
        """The title is that on the page."""
        figure = self.experiment.figure(wildcards.study, wildcards.figure)
        facts = self.experiment.results.figure(figure.study, figure.name, "txt")
        said = facts.read_text("utf-8").strip() if facts.is_file() else ""
        kind = short(figure.draw).replace("_", " ")
        return {"shows": unmarked(figure.heading(said)), "kind": kind, "name": figure.name}

    def document(self, wildcards) -> dict[str, str]:
        name = wildcards.document
        title = unmarked(self.experiment.title_of(name))
        return {"shows": title, "kind": "PDF", "name": name}

    def caption(self, wildcards) -> str:
        figure = self.experiment.figure(wildcards.study, wildcards.figure)
        return restructured(figure.caption)

    def title(self, wildcards) -> str:
        return restructured(self.experiment.title)


def unmarked(text: str) -> str:
    """A text for the list, which takes braces for wildcards and prints `<` as it is."""
    return text.translate(str.maketrans("{}<>", "()‹›"))


def restructured(text: str) -> str:
    """A text as reStructuredText that prints it, for Snakemake's report: directives of that
    language put HTML into the page and files of this machine beside it."""
    return re.sub(r"([^\w\s])", r"\\\1", " ".join(text.split()))
