"""Augmentation: training images changed on the device, by parameters drawn on the CPU.

A run's `augmentation` is one of the policies below. A crop moves by whole pixels (He et
al. 2016, section 4.2) and is cut by `minibatches`; colour and geometric changes compute
new pixels. Each draws one row of parameters per image for a whole epoch; `strength`
scales their ranges, and 0 leaves the images as they are. Colour comes first, so that the
black from outside stays black.
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
ROTATION, SHIFT, ZOOM = math.radians(15), 4, 0.15  # radians, pixels, share
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.4, math.radians(18)

GREY = (0.299, 0.587, 0.114)  # luma of red, green, blue, ITU-R BT.601


def either_side(count: int, generator: Generator) -> Tensor:
    """Uniform in [-1, 1), [count]."""
    return 2 * torch.rand(count, generator=generator) - 1


class Geometric:
    """Rotation, shift and zoom, bilinear; black comes in from outside."""

    def __init__(self, count: int, strength: float, device: str, size: int):
        self.strength = strength
        self.shift = SHIFT / (size / 2)  # affine_grid counts in half images
        self.affine = torch.zeros(count, 2, 3, device=device)

    def draw(self, generator: Generator) -> None:
        count, strength = len(self.affine), self.strength
        angle = strength * ROTATION * either_side(count, generator)
        zoom = 1 + strength * ZOOM * either_side(count, generator)
        shifts = [strength * self.shift * either_side(count, generator) for _ in range(2)]
        across = torch.stack([angle.cos() / zoom, -angle.sin() / zoom, shifts[0]], dim=1)
        down = torch.stack([angle.sin() / zoom, angle.cos() / zoom, shifts[1]], dim=1)
        self.affine.copy_(torch.stack([across, down], dim=1))

    def __call__(self, pixels: Tensor, at: Tensor) -> Tensor:
        """Pixels [b, c, s, s] of the images `at` [b] of the epoch → the same shape."""
        where = affine_grid(self.affine[at], list(pixels.shape), align_corners=False)
        return grid_sample(pixels, where, align_corners=False)


class Colour:
    """Brightness, contrast, saturation and hue, in this order, each kept in [0, 255].

    With one channel only the first two: grey has no saturation and no hue. Hue turns the
    colours about the grey axis, in the plane of I and Q of the YIQ space.
    """

    def __init__(self, count: int, strength: float, device: str):
        self.strength = strength
        self.factors = torch.ones(count, 3, device=device)
        self.turns = torch.zeros(count, 3, 3, device=device)

    def draw(self, generator: Generator) -> None:
        count = len(self.factors)
        for column, spread in enumerate((BRIGHTNESS, CONTRAST, SATURATION)):
            drawn = 1 + self.strength * spread * either_side(count, generator)
            self.factors[:, column].copy_(drawn.clamp(min=0))
        angle = self.strength * HUE * either_side(count, generator)
        to_yiq = torch.tensor([GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
        turn = torch.eye(3).repeat(count, 1, 1)
        turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
        turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
        self.turns.copy_(torch.linalg.inv(to_yiq) @ turn @ to_yiq)

    def __call__(self, pixels: Tensor, at: Tensor) -> Tensor:
        """Pixels [b, c, s, s] of the images `at` [b] of the epoch → the same shape."""
        brightness, contrast, saturation = self.factors[at].T[..., None, None, None]
        pixels = (pixels * brightness).clamp(0, 255)
        mean = grey(pixels).mean((2, 3), keepdim=True)
        pixels = (mean + contrast * (pixels - mean)).clamp(0, 255)
        if pixels.shape[1] == 1:
            return pixels
        shade = grey(pixels)
        pixels = (shade + saturation * (pixels - shade)).clamp(0, 255)
        return torch.einsum("bij,bjyx->biyx", self.turns[at], pixels).clamp(0, 255)


def grey(pixels: Tensor) -> Tensor:
    """[b, c, s, s] → [b, 1, s, s]."""
    if pixels.shape[1] == 1:
        return pixels
    # As numbers: a CUDA graph cannot be captured with a tensor copied from the host.
    parts = zip(GREY, pixels.split(1, dim=1), strict=True)
    return sum(weight * colour for weight, colour in parts)
