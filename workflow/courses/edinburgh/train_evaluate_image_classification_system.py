"""Train one network of `model_architectures.py`, with the course's settings by default.

    python train_evaluate_image_classification_system.py --block_type conv_bn_rc_block

For a first try, `--num_epochs 1 --train_items 1000`.
"""

import argparse
from pathlib import Path

from gradscape.data.datasets import prepared
from gradscape.pipeline import replace
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run

BLOCKS = {"conv_block": "", "conv_bn_block": "_bn"}
BLOCKS |= {"conv_rc_block": "_rc", "conv_bn_rc_block": "_bn_rc"}
DEFAULTS = {"num_epochs": 100, "batch_size": 100, "learning_rate": 1e-3, "seed": 0}
DEFAULTS |= {"dataset_name": "cifar100"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--block_type", choices=BLOCKS, default="conv_block")
    parser.add_argument("--num_blocks_per_stage", type=int, choices=[0, 5], default=5)
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--train_items", type=int, help="train on the first images alone")
    parser.add_argument("--data", type=Path, default=Path("data"), help="its folder")
    parser.add_argument("--experiment_name", help="its folder (default: the network)")
    known = parser.parse_args()
    depth = "vgg38" + BLOCKS[known.block_type] if known.num_blocks_per_stage else "vgg08"
    same = ("batch_size", "learning_rate", "seed", "train_items")
    settings = Settings(
        model=f"{Path(__file__).with_name('model_architectures.py')}:{depth}",
        dataset=known.dataset_name,
        normalisation="cifar10",
        epochs=known.num_epochs,
        **{name: getattr(known, name) for name in same},
    )
    out = Path(known.experiment_name or depth)
    dataset = prepared(known.dataset_name, known.data)
    replace.train(Run("command-line", out.name, settings), dataset, out)
    print(f"{replace.summary(out)}, in {out}")


if __name__ == "__main__":
    main()
