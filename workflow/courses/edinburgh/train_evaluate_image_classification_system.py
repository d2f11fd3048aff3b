"""Train one network of `model_architectures.py` on CIFAR-100 and write its statistics.

    python train_evaluate_image_classification_system.py --block_type conv_bn_rc_block

With the course's settings; whatever else is given goes to `python -m gradscape train`,
such as `--learning-rate 1e-2` or, for a first try, `--epochs 1 --train-items 1000`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

BLOCKS = {"conv_block": "", "conv_bn_block": "_bn"}
BLOCKS |= {"conv_rc_block": "_rc", "conv_bn_rc_block": "_bn_rc"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--block_type", choices=BLOCKS, default="conv_block")
    parser.add_argument("--num_blocks_per_stage", type=int, choices=[0, 5], default=5)
    parser.add_argument("--dataset_name", default="cifar100")
    parser.add_argument("--experiment_name", default="experiment")
    parser.add_argument("--data", default="data", help="for the dataset, once prepared")
    known, rest = parser.parse_known_args()
    depth = "vgg38" + BLOCKS[known.block_type] if known.num_blocks_per_stage else "vgg08"
    model = f"{Path(__file__).with_name('model_architectures.py')}:{depth}"
    dataset = known.dataset_name
    settings = {"model": model, "dataset": dataset, "normalisation": "cifar10"}
    words = [word for k, v in settings.items() for word in (f"--{k}", v)]
    if not Path(known.data, dataset, "dataset.json").exists():
        gradscape("data", dataset, "--out", f"{known.data}/{dataset}")
    gradscape("train", *words, "--data", known.data, "--out", known.experiment_name, *rest)


def gradscape(*words):
    done = subprocess.run([sys.executable, "-m", "gradscape", *words])
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
