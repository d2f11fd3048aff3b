"""The learning rate as a closed function of the step, so that resuming needs no state.

One of your own is a function like these: of the run's settings, the epoch and the step in
it, both from 0, and the steps of an epoch. After a warm-up the epochs, `settings.epochs`
among them, are counted from its end.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from gradscape.spec.registry import find
from gradscape.spec.settings import Settings


def constant(settings: Settings, epoch: int, step: int, steps: int) -> float:
    return settings.learning_rate


def cosine(settings: Settings, epoch: int, step: int, steps: int) -> float:
    """Stepped once an epoch (Loshchilov & Hutter 2017, equation 5, without restarts)."""
    base, final = settings.learning_rate, settings.final_learning_rate
    return final + (base - final) * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2


def cosine_per_iteration(settings: Settings, epoch: int, step: int, steps: int) -> float:
    """That formula stepped once a minibatch with the period still in epochs: the rate
    swings and never anneals."""
    return cosine(settings, epoch * steps + step, step, steps)


def exponential(settings: Settings, epoch: int, step: int, steps: int) -> float:
    return settings.learning_rate * settings.decay**epoch


def staircase(settings: Settings, epoch: int, step: int, steps: int) -> float:
    return settings.learning_rate * settings.decay ** (epoch // settings.decay_epochs)


SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "cosine_per_iteration": cosine_per_iteration,
    "exponential": exponential,
    "staircase": staircase,
}


def learning_rate(settings: Settings) -> Callable[[int, int, int], float]:
    """A run's rate by epoch, step and steps of an epoch: it rises linearly, step by step,
    in `warmup_epochs`, and then follows the schedule."""
    schedule, warmup = find("schedule", settings.schedule), settings.warmup_epochs
    warm = replace(settings, epochs=settings.epochs - warmup)

    def rate(epoch: int, step: int, steps: int) -> float:
        if epoch < warmup:
            return settings.learning_rate * (epoch * steps + step + 1) / (warmup * steps)
        return schedule(warm, epoch - warmup, step, steps)

    return rate
