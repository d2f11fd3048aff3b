"""Edinburgh MLP coursework 2 (2024), section 8.2."""

from gradscape.courses.archive import code
from gradscape.results.runs import FinishedRun

TITLE = "Why VGG38 does not train, and what mends it"
STUDIES = ["degradation", "schedules"]
YEARS = [2021, 2024]
ARCHIVE = "{}.zip"


def edinburgh(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """A folder named after the student's number.

    `summary.csv` has the course's own columns, as fractions, one row per epoch.
    """
    content = {
        f"{student}/{student}_report.pdf": report,
        **code(f"{student}/mlp/pytorch_experiment_scripts"),
    }
    for run in runs:
        folder = f"{student}/results/{run.path.name}/result_outputs"
        table = run.metrics[["train_accuracy", "train_loss", "val_accuracy", "val_loss"]]
        table = table.set_axis(["train_acc", "train_loss", "val_acc", "val_loss"], axis=1)
        content[f"{folder}/summary.csv"] = table.to_csv(index=False).encode()
        test = run.test[["test_accuracy", "test_loss"]].to_frame().T
        test = test.set_axis(["test_acc", "test_loss"], axis=1)
        content[f"{folder}/test_summary.csv"] = test.to_csv(index=False).encode()
    return content
