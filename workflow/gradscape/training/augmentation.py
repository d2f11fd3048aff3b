"""Augmentation: training images changed on the device, by parameters drawn on the CPU.

`minibatches` cuts crops (He et al. 2016, section 4.2). The changes below draw a row of
parameters per image for an epoch and turn the pixels [b, c, s, s] of the images `at` [b] of
the epoch into others; `strength` scales their ranges. Colour comes first, so that the black
from outside stays black.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

POLICIES = {
    "none": (),
    "flip": ("flip",),
    "crop-flip": ("crop", "flip"),
    "geometric": ("flip", "geometric"),
    "colour": ("colour",),
    "geometric-colour": ("flip", "colour", "geometric"),
}

# At strength 1, each to either side.
ROTATION, ZOOM, SHIFT = math.radians(15), 0.15, 4  # radians, share, pixels
COLOURS = (0.4, 0.4, 0.4, math.radians(18))  # brightness, contrast, saturation, hue

GREY = (0.299, 0.587, 0.114)  # luma of red, green, blue, ITU-R BT.601


class Geometric:
    """Rotation, shift and zoom, bilinear; black comes in from outside."""

    def __init__(self, count: int, strength: float, device: str, size: int):
        shift = SHIFT / (size / 2)  # affine_grid counts in half images
        self.spreads = [strength * spread for spread in (ROTATION, ZOOM, shift, shift)]
        self.affine = torch.zeros(count, 2, 3, device=device)

    def draw(self, generator: Generator) -> None:
        count = len(self.affine)
        angle, zoom, right, down = either_sides(self.spreads, count, generator)
        cosine, sine = angle.cos() / (1 + zoom), angle.sin() / (1 + zoom)
        rows = torch.stack([cosine, -sine, right, sine, cosine, down], dim=1)
        self.affine.copy_(rows.reshape(self.affine.shape))

    def __call__(self, pixels: Tensor, at: Tensor) -> Tensor:
        where = affine_grid(self.affine[at], list(pixels.shape), align_corners=False)
        return grid_sample(pixels, where, align_corners=False)


class Colour:
    """Brightness, contrast and, with three channels, saturation and hue, in this order;
    each stays in [0, 255]. Hue turns colours in the plane of I and Q of the YIQ space."""

    def __init__(self, count: int, strength: float, device: str):
        self.spreads = [strength * spread for spread in COLOURS]
        self.factors = torch.ones(count, 3, device=device)
        self.turns = torch.zeros(count, 3, 3, device=device)

    def draw(self, generator: Generator) -> None:
        count = len(self.factors)
        *factors, angle = either_sides(self.spreads, count, generator)
        self.factors.copy_(1 + torch.stack(factors, dim=1)).clamp_(min=0)
        to_yiq = torch.tensor([GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
        turn = torch.eye(3).repeat(count, 1, 1)
        turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
        turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
        self.turns.copy_(torch.linalg.inv(to_yiq) @ turn @ to_yiq)

    def __call__(self, pixels: Tensor, at: Tensor) -> Tensor:
        brightness, contrast, saturation = self.factors[at].T[..., None, None, None]
        pixels = (pixels * brightness).clamp(0, 255)
        mean = grey(pixels).mean((2, 3), keepdim=True)
        pixels = (mean + contrast * (pixels - mean)).clamp(0, 255)
        if pixels.shape[1] == 1:
            return pixels
        shade = grey(pixels)
        pixels = (shade + saturation * (pixels - shade)).clamp(0, 255)
        return torch.einsum("bij,bjyx->biyx", self.turns[at], pixels).clamp(0, 255)


def either_sides(spreads: list[float], count: int, generator: Generator) -> list[Tensor]:
    """Uniform numbers within each spread of 0, [count]."""
    return [s * (2 * torch.rand(count, generator=generator) - 1) for s in spreads]


def grey(pixels: Tensor) -> Tensor:
    """[b, c, s, s] → [b, 1, s, s]."""
    if pixels.shape[1] == 1:
        return pixels
    # As numbers: a CUDA graph cannot be captured with a tensor copied from the host.
    parts = zip(GREY, pixels.split(1, dim=1), strict=True)
    return sum(weight * colour for weight, colour in parts)
