"""The command line: the framework's options, and `--learning_rate`."""

import argparse

OPTIONS = {
    "batch_size": 100,
    "continue_from_epoch": -1,
    "seed": 0,
    "image_num_channels": 3,
    "image_height": 32,
    "image_width": 32,
    "num_stages": 3,
    "num_blocks_per_stage": 5,
    "num_filters": 32,
    "num_epochs": 100,
    "num_classes": 100,
    "experiment_name": "exp_1",
    "weight_decay_coefficient": 0.0,
    "learning_rate": 1e-3,
    "block_type": "conv_block",
}


def str2bool(text):
    if text.lower() in ("true", "yes", "t", "y", "1"):
        return True
    if text.lower() in ("false", "no", "f", "n", "0"):
        return False
    raise argparse.ArgumentTypeError("True or False is expected")


def get_args():
    parser = argparse.ArgumentParser(description="Train a network of coursework 2.")
    for name, default in OPTIONS.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--use_gpu", type=str2bool, default=True)
    return parser.parse_args()
