"""Train one network of `model_architectures.py` on CIFAR-100, with the course's command
line. Runs beside the files that it imports, in the framework or without it."""

import model_architectures as architectures
import numpy as np
import torch
from arg_extractor import get_args
from experiment_builder import ExperimentBuilder
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR100

PLAIN = architectures.ConvolutionalDimensionalityReductionBlock
NORMALISED = architectures.BNConvolutionalDimensionalityReductionBlock
# The processing and the reduction block of each `--block_type`.
BLOCKS = {
    "empty_block": (architectures.EmptyBlock, architectures.EmptyBlock),
    "conv_block": (architectures.ConvolutionalProcessingBlock, PLAIN),
    "conv_rc_block": (architectures.RCConvolutionalProcessingBlock, PLAIN),
    "conv_bn_block": (architectures.BNConvolutionalProcessingBlock, NORMALISED),
    "conv_bn_rc_block": (architectures.BNRCConvolutionalProcessingBlock, NORMALISED),
}


def loaders(batch_size, root="data"):
    """Minibatches to train, validate and test on; a twentieth of the training images,
    chosen at random once and for all, validates."""
    normalise = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    plain = [transforms.ToTensor(), normalise]
    change = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    changed = CIFAR100(root, True, transforms.Compose(change + plain), download=True)
    unchanged = CIFAR100(root, True, transforms.Compose(plain), download=True)
    testing = CIFAR100(root, False, transforms.Compose(plain), download=True)
    count = len(changed)
    train = np.random.RandomState(0).choice(count, count * 19 // 20, replace=False)
    rest = np.setdiff1d(np.arange(count), train)
    return (
        DataLoader(Subset(changed, train), batch_size, shuffle=True, num_workers=2),
        DataLoader(Subset(unchanged, rest), batch_size),
        DataLoader(testing, batch_size),
    )


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    processing, reduction = BLOCKS[args.block_type]
    shape = (args.batch_size, args.image_num_channels, args.image_height, args.image_width)
    network = architectures.ConvolutionalNetwork(
        input_shape=shape,
        num_output_classes=args.num_classes,
        num_filters=args.num_filters,
        num_blocks_per_stage=args.num_blocks_per_stage,
        num_stages=args.num_stages,
        processing_block_type=processing,
        dimensionality_reduction_block_type=reduction,
    )
    train_data, val_data, test_data = loaders(args.batch_size)
    experiment = ExperimentBuilder(
        network_model=network,
        experiment_name=args.experiment_name,
        num_epochs=args.num_epochs,
        train_data=train_data,
        val_data=val_data,
        test_data=test_data,
        weight_decay_coefficient=args.weight_decay_coefficient,
        use_gpu=args.use_gpu,
        continue_from_epoch=args.continue_from_epoch,
        learning_rate=args.learning_rate,
    )
    experiment.run_experiment()


if __name__ == "__main__":
    main()
