"""Curvature of the loss at trained weights: largest eigenvalue and trace of the Hessian.

They go with a loss surface (Li et al. 2018, section 6). Power iteration finds the
eigenvalue, Hutchinson's estimator with random signs the trace.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscape.models.blocks import trainable
from gradscape.probes.surface import filter_norms
from gradscape.probes.trained import Trained
from gradscape.spec.options import Range

WORDS = "quantity"
NUMBERS = "value uncertainty"
SEED = 0  # of the starting vector and the signs
TOLERANCE = 1e-3  # relative change of the eigenvalue at which the iteration stops
Vector = list[Tensor]  # one tensor per parameter


def hessian_product(losses: list[Callable], parameters: Vector) -> Callable:
    """The map v → Hv for the sum of `losses`; one minibatch at a time is in memory."""

    def product(vector: Vector) -> Vector:
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for loss in losses:
            gradient = torch.autograd.grad(
                loss(), parameters, create_graph=True, allow_unused=True
            )
            pairs = zip(gradient, vector, strict=True)
            curved = [(g, v) for g, v in pairs if g is not None and g.requires_grad]
            if curved:
                outputs, along = zip(*curved, strict=True)
                second = torch.autograd.grad(
                    outputs, parameters, along, materialize_grads=True
                )
                torch._foreach_add_(total, second)
        return total

    return product


def in_filter_norms(product: Callable, parameters: Vector) -> Callable:
    """The map v → D H D v: the Hessian in units D of the filters' norms, zero for biases
    and normalisations. It does not change if a filter is scaled and the normalisation
    behind it undoes that, while λ itself falls with the square (Arora et al. 2019)."""
    units = [
        filter_norms(p).expand_as(p) if p.ndim > 1 else torch.zeros_like(p)
        for p in parameters
    ]

    def scaled(vector: Vector) -> Vector:
        return torch._foreach_mul(product(torch._foreach_mul(vector, units)), units)

    return scaled


def dot(one: Vector, other: Vector) -> float:
    products = torch._foreach_mul(one, other)
    return float(sum(product.sum(dtype=torch.float64) for product in products))


def largest_eigenvalue(
    product: Callable, parameters: Vector, iterations: int
) -> tuple[float, float]:
    """The eigenvalue of largest magnitude, and its relative change at the end."""
    generator = torch.Generator().manual_seed(SEED)
    vector = [torch.randn(p.shape, generator=generator).to(p.device) for p in parameters]
    value, change = 0.0, float("inf")
    for _ in range(iterations):
        vector = torch._foreach_div(vector, dot(vector, vector) ** 0.5)
        image = product(vector)
        before, value = value, dot(vector, image)
        change = abs(value - before) / max(abs(value), 1e-30)
        if change < TOLERANCE or dot(image, image) == 0:
            break
        vector = image
    return value, change


def trace(product: Callable, parameters: Vector, samples: int) -> tuple[float, float]:
    """Mean of vᵀHv over random signs v, and its standard error."""
    generator = torch.Generator().manual_seed(SEED)
    values = []
    for _ in range(samples):
        signs = [
            torch.randint(0, 2, p.shape, generator=generator).to(p) * 2 - 1
            for p in parameters
        ]
        values.append(dot(signs, product(signs)))
    spread = torch.tensor(values, dtype=torch.float64)
    error = float(spread.std() / samples**0.5) if samples > 1 else float("nan")
    return float(spread.mean()), error


def hessian(
    run: Trained,
    images: Annotated[int, Range(2), "training images to measure on"] = 500,
    iterations: Annotated[int, Range(1), "of the power iteration, at most"] = 30,
    samples: Annotated[int, Range(1), "random vectors of the trace's estimate"] = 10,
    filter_normalised: Annotated[
        bool, "also in units of the filters' norms, which costs as much again"
    ] = False,
) -> list[dict]:
    """The uncertainty is the relative change in the last iteration (`largest_eigenvalue`)
    and the standard error (`trace`). Weights of the best epoch, evaluation mode: at a
    uniform guess the eigenvalue falls with the number of training images, so take thousands
    to compare it. Only of what trains. Costs iterations + samples products, each about
    three training steps over the images. Raises `GradscapeError` for a network that cannot
    be differentiated twice."""
    model = run.network("best").eval()
    parameters = trainable(model)
    product = hessian_product(run.losses(model, images), parameters)
    products = {"": product}
    if filter_normalised:
        products["filter_normalised_"] = in_filter_norms(product, parameters)
    measures = {"largest_eigenvalue": (largest_eigenvalue, iterations)}
    measures["trace"] = trace, samples
    rows = []
    with sdpa_kernel(SDPBackend.MATH):  # no other attention can be differentiated twice
        try:
            hessian_product(run.losses(model, 2), parameters)(parameters)
        except RuntimeError as error:
            why = "has no second derivative, whose products are what `hessian` measures"
            raise run.unmeasurable(f"{why} ({error})") from None
        for unit, product in products.items():
            for name, (measure, times) in measures.items():
                value, uncertainty = measure(product, parameters, times)
                row = {"quantity": unit + name, "value": value, "uncertainty": uncertainty}
                rows.append(row)
    return rows
