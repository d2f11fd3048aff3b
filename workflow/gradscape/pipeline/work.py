"""How much a run has to do, counted from its settings without loading torch."""

from gradscape.data.splits import count_training_images
from gradscape.spec.settings import Settings


def training_images(settings: Settings) -> int:
    """How many images an epoch trains on."""
    return count_training_images(settings.dataset, settings.split, settings.train_items)


def steps(settings: Settings) -> int:
    """How many minibatches a run trains on."""
    return settings.epochs * -(-training_images(settings) // settings.batch_size)


def passes_per_step(settings: Settings) -> float:
    """Forward and backward passes of a step, with those that measure the landscape."""
    if settings.landscape_every is None:
        return 1
    directions = 1 + settings.landscape_step
    return 1 + directions * settings.landscape_points / settings.landscape_every
