"""Closed forms of what a wide network does before it trains; they need no runs."""

import math


def cosine_map(cosine: float, slope: float) -> float:
    """The cosine of two images' features behind a wide random layer and a leaky rectifier
    of `slope` a, from their cosine c before it:

        C(c) = c + (1 - a)² / (π (1 + a²)) · (√(1 - c²) - c arccos c)

    (the arc-cosine kernel of order 1, Cho & Saul 2009, section 2, taken over both halves of
    the rectifier and normalised so that C(1) = 1).

    >>> cosine_map(0.3, 1.0), round(cosine_map(0.0, 0.0), 4)
    (0.3, 0.3183)
    """
    c = min(1.0, max(-1.0, cosine))
    bend = (1 - slope) ** 2 / (math.pi * (1 + slope**2))
    return c + bend * (math.sqrt(1 - c * c) - c * math.acos(c))


def cosine_behind(layers: int, slope: float) -> float:
    """The cosine behind that many layers of two images that are orthogonal before them."""
    cosine = 0.0
    for _ in range(layers):
        cosine = cosine_map(cosine, slope)
    return cosine


def tailored_slope(eta: float, rectifiers: int) -> float:
    """The slope at which orthogonal images have the cosine `eta` behind that many layers,
    each with its rectifier (Zhang, Botev & Martens 2022, section 4: C_f(0) = η).

    Convolutions count, also those of reduction blocks. Average pooling does not: it is
    linear, and it is taken to leave the cosine as it is. The cosine falls as the slope
    rises, from that of ReLU to 0 of a linear network, so bisection finds the slope; an
    `eta` above what ReLU itself gives is out of reach and gives slope 0.

    >>> [round(tailored_slope(eta, 37), 3) for eta in (0.9, 0.5)]
    [0.358, 0.679]
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if cosine_behind(rectifiers, middle) > eta:
            low = middle
        else:
            high = middle
    return (low + high) / 2
