"""Where the network looks: Grad-CAM and occlusion, for right and wrong predictions.

Of the first 1000 test images, those classified with most confidence are taken, as many
right as wrong, different predicted classes first.
"""

from itertools import product
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gradscape.base.errors import GradscapeError
from gradscape.probes.trained import Trained, calls, probabilities
from gradscape.spec.options import Range

WORDS = "label predicted"
NUMBERS = "image confidence row column red green blue grad_cam occlusion"
CANDIDATES = 1000  # test images to choose from


def grad_cam(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Selvaraju et al. 2017, section 3: [n, s, s], not negative, of images [n, c, s, s] and
    one class each [n].

    A feature map's weight is the class logit's mean gradient (equation 1); the map is the
    ReLU of the weighted sum (equation 2), enlarged bilinearly. The feature maps are the
    last of the last convolution's size: behind its normalisation and activation.
    """
    with calls(modules := dict(model.named_modules())) as seen:
        # The input asks for gradients because a frozen backbone's weights do not.
        logits = model(images.clone().requires_grad_())
    is_convolution = [isinstance(modules[call.name], nn.Conv2d) for call in seen]
    after = seen[len(seen) - 1 - is_convolution[::-1].index(True) :]
    maps = [call.gave for call in after if call.gave.shape == after[0].gave.shape][-1]
    scores = logits.gather(1, classes[:, None]).sum()  # images do not mix in evaluation
    (gradients,) = torch.autograd.grad(scores, maps)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    coarse = (weights * maps).sum(dim=1, keepdim=True).relu()
    return interpolate(coarse, size=images.shape[2:], mode="bilinear").detach()[:, 0]


def occlusion(
    model: nn.Module, images: Tensor, classes: Tensor, patch: int, stride: int
) -> Tensor:
    """Zeiler & Fergus 2014, section 4.2: [n, s, s], how far the class's probability falls,
    averaged over the patch × patch squares in the normalisation's mean colour, a grey, that
    hide a pixel while they move over the images [n, c, s, s] by `stride` pixels."""

    def probability(images: Tensor) -> Tensor:
        return probabilities(model, images).gather(1, classes[:, None])[..., None]

    size = images.shape[-1]
    places = sorted({*range(0, size - patch, stride), size - patch})
    before = probability(images)
    falls = torch.zeros(len(images), size, size, device=images.device)
    covers = torch.zeros(size, size, device=images.device)
    for top, left in product(places, repeat=2):
        square = (..., slice(top, top + patch), slice(left, left + patch))
        hidden = images.clone()
        hidden[square] = 0
        falls[square] += before - probability(hidden)
        covers[square] += 1
    return falls / covers


def surest(confidence: Tensor, predicted: Tensor, among: Tensor, count: int) -> list[int]:
    """`count` of the images `among`, true or false, [n]: the most confident of each
    predicted class, then the others, by falling confidence; of equals, the first."""
    order = confidence.argsort(descending=True, stable=True)
    order = order[among[order]].cpu().numpy()
    _, first = np.unique(predicted.cpu().numpy()[order], return_index=True)
    first.sort()
    return [*order[first].tolist(), *np.delete(order, first).tolist()][:count]


def explanations(
    run: Trained,
    images: Annotated[int, Range(1, 6), "how many right and how many wrong ones"] = 4,
    patch: Annotated[int, Range(1, 32), "side of the squares that occlude, in pixels"] = 8,
    stride: Annotated[int, Range(1, 32), "pixels from one square to the next"] = 4,
) -> list[dict]:
    """`images` right ones first, then as many wrong ones (fewer where there are fewer),
    explained for the predicted class. Weights of the best epoch, evaluation mode; colours
    from 0 to 1, all equal for a grey image; `grad_cam` in logits, `occlusion` in
    probability."""
    size = run.dataset.facts.size
    if stride > patch:
        why = f"is larger than patch {patch} and would leave pixels uncovered"
        raise GradscapeError(f"probe explanations: stride {stride} {why}")
    if patch > size:
        why = f"is larger than the images, {size}x{size}"
        raise GradscapeError(f"probe explanations: patch {patch} {why}")
    model = run.network("best").eval()
    run.layers(model, nn.Conv2d, "convolution, whose feature maps Grad-CAM weighs")
    pixels, labels = run.test_images(slice(CANDIDATES))
    confidence, predicted = probabilities(model, pixels).max(dim=1)
    right = predicted == labels
    numbers = [
        image
        for kind in (right, ~right)
        for image in surest(confidence, predicted, kind, images)
    ]
    shown, classes = pixels[numbers], predicted[numbers]
    seen = grad_cam(model, shown, classes), occlusion(model, shown, classes, patch, stride)
    maps = torch.stack(seen, dim=-1).cpu()
    values = np.concatenate([run.test_colours(numbers), maps], axis=-1)
    columns = NUMBERS.split()[-values.shape[-1] :]
    return [
        {
            "image": number,
            "label": run.class_names[labels[number]],
            "predicted": run.class_names[predicted[number]],
            "confidence": float(confidence[number]),
            "row": row,
            "column": column,
            **dict(zip(columns, values[at, row, column].tolist(), strict=True)),
        }
        for at, number in enumerate(numbers)
        for row, column in np.ndindex(size, size)
    ]
