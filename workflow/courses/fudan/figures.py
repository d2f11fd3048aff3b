"""Draw every figure of the write-up again, from what is in results/: python figures.py"""

from loaders import HERE

from gradscape.config.experiment import Experiment
from gradscape.figures.drawing import draw_or_leave_out, drawable
from gradscape.runs.run import finished_runs

RESULTS, OUT = HERE / "results", HERE / "figures"


def main():
    experiment = Experiment.from_file(RESULTS / "config.json", RESULTS)
    for study in experiment.studies.values():
        finished = finished_runs(study, experiment.results)
        for figure, chosen in drawable(study, finished):
            name = f"{study.name}-{figure.name}"
            draw_or_leave_out(figure, chosen, [OUT / f"{name}.pdf", OUT / f"{name}.txt"])
            print(f"{OUT.name}/{name}.pdf")


if __name__ == "__main__":
    main()
