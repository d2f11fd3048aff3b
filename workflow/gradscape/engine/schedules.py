"""The learning rate as a closed function of the step, so that resuming needs no state.

| name                   | rate                                                          |
|------------------------|---------------------------------------------------------------|
| `constant`             | the base rate                                                 |
| `cosine`               | cosine to the final rate, stepped once an epoch               |
| `cosine_per_iteration` | the same formula stepped once a minibatch with the period     |
|                        | still in epochs: the rate swings, and does not anneal         |
| `exponential`          | × `decay` an epoch                                            |
| `staircase`            | × `decay` every `decay_epochs` epochs                         |

`warmup_epochs` raises the rate linearly, minibatch by minibatch, in front of any of them.
Cosine: Loshchilov & Hutter 2017, equation 5, without restarts.
"""

import math

from gradscape.config import Settings


def learning_rate(settings: Settings, epoch: int, step: int, steps: int) -> float:
    """The rate at minibatch `step` of `epoch` (both from 0), `steps` minibatches long."""
    base, final = settings.learning_rate, settings.final_learning_rate
    if epoch < settings.warmup_epochs:
        return base * (epoch * steps + step + 1) / (settings.warmup_epochs * steps)
    epoch -= settings.warmup_epochs
    period = settings.epochs - settings.warmup_epochs
    if settings.schedule == "exponential":
        return base * settings.decay**epoch
    if settings.schedule == "staircase":
        return base * settings.decay ** (epoch // settings.decay_epochs)
    if settings.schedule == "constant":
        return base
    at = epoch if settings.schedule == "cosine" else epoch * steps + step
    return final + (base - final) * (1 + math.cos(math.pi * at / period)) / 2
