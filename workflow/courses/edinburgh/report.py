"""Write the report again from the CSVs in mlp/results (needs latexmk): python report.py"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.config.experiment import Experiment
from gradscape.report.build import build

HERE = Path(__file__).parent
OUT = HERE / "rebuilt"


def restore(folder: Path, out: Path) -> None:
    """Turn one run's CSVs back into what it left when it was trained."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("metrics.csv", "test.csv"):
        shutil.copyfile(folder / name, out / name)
    if (folder / "probes").exists():
        shutil.copytree(folder / "probes", out / "probes", dirs_exist_ok=True)
    gradients = pd.read_csv(folder / "gradients.csv")
    np.savez(
        out / "gradients.npz",
        mean_absolute_gradient=gradients.to_numpy(np.float32),
        layer=np.array(gradients.columns, dtype=str),
    )
    losses = pd.read_csv(folder / "metrics.csv")["train_loss"].to_numpy()
    np.savez(out / "steps.npz", loss=losses, steps_per_epoch=1)  # their means are kept
    record = pd.read_csv(folder / "record.csv", index_col=0, na_filter=False)["value"]
    text = json.dumps({key: json.loads(value) for key, value in record.items()})
    (out / "run.json").write_text(text)


if __name__ == "__main__":
    for folder in sorted((HERE.parent / "results").glob("*/*")):
        restore(folder, OUT / "runs" / folder.parent.name / folder.name)
    build(Experiment.from_file(HERE / "config.json", OUT))
    print(*sorted(OUT.glob("*.pdf")), sep="\n")
