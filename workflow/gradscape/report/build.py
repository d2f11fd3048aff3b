"""Every document from the finished runs: decide, draw, write, run LaTeX.

The rules do it job by job, `gradscape report` in one process; the steps are the same.
`results/<config>/report/` is self-contained, as a source archive has to be. The PDF names
its sources: a number links to the run or the table that it comes from.
"""

import gc

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import FIGURE_KINDS
from gradscape.claims.files import decide_studies
from gradscape.claims.tables import write_tables
from gradscape.config.experiment import Experiment
from gradscape.figures.drawing import draw_or_leave_out, drawable
from gradscape.report.latex import compile_pdf
from gradscape.report.page import write_page
from gradscape.report.template import write_tex
from gradscape.report.view import StudyView, view_studies


def build(experiment: Experiment) -> None:
    """Decide, draw, write and compile everything from the finished runs: the report, each
    study's and each course's own document, and the page, also where there is no LaTeX."""
    gc.freeze()  # the modules: searching them for cycles takes a tenth of the time
    views = prepare(experiment)
    begun = [name for name, view in views.items() if view.finished]
    try:
        for document in experiment.documents_of(begun):
            write_tex(experiment, document, views)
            compile_pdf(experiment.results, document)
    except GradscapeError:
        write_page(experiment, views)
        raise
    write_page(experiment, views)


def prepare(experiment: Experiment) -> dict[str, StudyView]:
    """Decide all studies, write their tables, draw their figures; returns their views."""
    decide_studies(experiment)
    views, results = view_studies(experiment), experiment.results
    for view in (view for view in views.values() if view.finished):
        write_tables(view.study, view.finished, results)
        for figure, chosen in drawable(view.study, view.finished):
            kinds = [results.figure(view.name, figure.name, kind) for kind in FIGURE_KINDS]
            draw_or_leave_out(figure, chosen, kinds)
    return views
