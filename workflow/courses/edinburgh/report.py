"""Write the report again from what is in recorded/ (needs latexmk): python report.py"""

from pathlib import Path

from gradscape.config.experiment import Experiment
from gradscape.report.build import prepare
from gradscape.report.latex import compile_pdf
from gradscape.report.template import write_tex

RECORDED = Path(__file__).with_name("recorded")

if __name__ == "__main__":
    experiment = Experiment.from_file(RECORDED / "config.json", RECORDED)
    write_tex(experiment, "edinburgh", prepare(experiment, "edinburgh"))
    compile_pdf(experiment.results, "edinburgh")
    print(experiment.results.pdf("edinburgh"))
