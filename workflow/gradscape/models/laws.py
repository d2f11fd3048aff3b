"""Closed forms for a wide network before it trains: nothing is fitted, no run is read.

Mean squares are over images, channels and positions; `slope` is the leaky rectifier's, a.
docs/theory.md derives them.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

SLOPE = 0.01  # of the Edinburgh networks' leaky rectifiers
VARIANCE = 1 / 3  # fan_in times the variance of PyTorch's default weights
SAMPLES = 10**6  # of the residual stream, for 0.3 %


def let_through(slope: float) -> float:
    """The share of a symmetric distribution's mean square behind a leaky rectifier."""
    return (1 + slope**2) / 2


# Similarity


def cosine_map(cosine: float, slope: float) -> float:
    """The cosine of two images' features behind a wide random layer and its rectifier, from
    their cosine before it: the arc-cosine kernel of order 1 (Cho & Saul 2009, section 2),
    over both halves of the rectifier, normalised to 1 at 1.

    >>> cosine_map(0.3, 1.0), round(cosine_map(0.0, 0.0), 4)
    (0.3, 0.3183)
    """
    c = min(1.0, max(-1.0, cosine))
    bend = (1 - slope) ** 2 / (math.pi * (1 + slope**2))
    return c + bend * (math.sqrt(1 - c * c) - c * math.acos(c))


def tailored_slope(eta: float, rectifiers: int) -> float:
    """The slope at which orthogonal images have the cosine `eta` behind that many layers,
    each with its rectifier (Zhang, Botev & Martens 2022, section 4: C_f(0) = η).

    The cosine falls as the slope rises, from that of ReLU to 0 of a linear network, so
    bisection finds the slope; an `eta` above what ReLU itself gives leads to slope 0.

    >>> [round(tailored_slope(eta, 37), 3) for eta in (0.9, 0.5)]
    [0.358, 0.679]
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle, cosine = (low + high) / 2, 0.0
        for _ in range(rectifiers):
            cosine = cosine_map(cosine, middle)
        if cosine > eta:
            low = middle
        else:
            high = middle
    return (low + high) / 2


# Depth


@dataclass(frozen=True)
class Layer:
    """A layer of a plain network: convolutions of 3 × 3, and a linear layer at the end.
    `size` is the side of the feature map that it is given; the linear layer's is 1."""

    size: int
    fan_in: int
    bias: bool


def activation_mean_squares(layers: list[Layer], slope: float) -> list[float]:
    """The mean square of each layer's pre-activations z, from the entry's, normalised to 1:

        E[z_l²] = (1 + a²)/2 · 1/3 · E[z_(l-1)²] + Var[bias]

    with PyTorch's default weights (He et al. 2015, section 2.2), and the mean on the right
    over the nine taps, of which those outside the map are zero. Pooling is taken to
    average equal values, which biases leave after many layers. NaN at the entry, of which
    the law does not say what it is before its normalisation.
    """
    squares, means = np.ones((layers[0].size, layers[0].size)), [math.nan]
    for layer in layers[1:]:
        if layer.size == 1:
            squares = squares.mean(keepdims=True)
        else:
            squares = taps(pooled(squares) if len(squares) > layer.size else squares)
        bias = VARIANCE / layer.fan_in if layer.bias else 0.0
        squares = let_through(slope) * VARIANCE * squares + bias
        means.append(float(squares.mean()))
    return means


def gradient_mean_squares(
    layers: list[Layer], slope: float, classes: int, images: int
) -> list[float]:
    """The mean square of dL/dz of each layer, from the logits of a uniform guess backwards
    by the same law without the bias, for a loss that is the mean over `images`. NaN at the
    entry, whose normalisation it does not cover."""
    through, size = let_through(slope), layers[-2].size
    logits = (1 - 1 / classes) / (classes * images**2)
    head = classes * VARIANCE / layers[-1].fan_in * logits
    squares = np.full((size, size), through * head / size**4)
    means = [logits, float(squares.mean())]
    for before, layer in reversed(list(pairwise(layers[1:-1]))):
        squares = VARIANCE * taps(squares)
        if before.size > layer.size:  # there is an average pool of 2 × 2 in between
            squares = squares.repeat(2, axis=0).repeat(2, axis=1) / 16
            # An odd last row or column is not pooled.
            squares = np.pad(squares, (0, before.size % 2))
        squares = through * squares
        means.append(float(squares.mean()))
    return [math.nan, *reversed(means)]


def taps(squares: np.ndarray) -> np.ndarray:
    """The mean over the 3 × 3 taps at each position of [s, s], zero outside."""
    size, padded = len(squares), np.pad(squares, 1)
    shifts = [(row, column) for row in range(3) for column in range(3)]
    return sum(padded[r : r + size, c : c + size] for r, c in shifts) / 9


def pooled(squares: np.ndarray) -> np.ndarray:
    """[s, s] → [s/2, s/2]: the mean of 2 × 2, without an odd last row or column."""
    half = len(squares) // 2
    return squares[: 2 * half, : 2 * half].reshape(half, 2, half, 2).mean(axis=(1, 3))


def normalised_gradient_growth(slope: float) -> float:
    """The factor by which batch normalisation makes the gradient's mean square grow per
    convolution, backwards and whatever the initialisation: what the rectifier lets through,
    over the variance of what it makes of N(0, 1); π/(π-1) for ReLU (Yang et al. 2019,
    section 3).

    >>> round(normalised_gradient_growth(0), 4), round(normalised_gradient_growth(1), 4)
    (1.4669, 1.0)
    """
    passed = let_through(slope)
    return passed / (passed - (1 - slope) ** 2 / (2 * math.pi))


@cache
def residual_mean_squares(blocks: int, slope: float) -> tuple[float, ...]:
    """The mean square of what each of `blocks` blocks is given, with batch normalisation on
    the residual branch: x → φ(x + N(0, 1)), from x = φ(N(0, 1)) (De & Smith 2020, section
    3)."""
    noise, x = np.random.default_rng(0), np.zeros(SAMPLES)
    squares = []
    for _ in range(blocks):
        x = x + noise.standard_normal(SAMPLES)
        x = np.maximum(x, slope * x)
        squares.append(float(np.mean(x**2)))
    return tuple(squares)
