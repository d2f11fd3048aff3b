"""A convolutional part that ImageNet weights fit, and a head for other classes on top."""

from torch import Tensor, nn


class WithBackbone(nn.Module):
    """Images → logits [n, classes]: `features`, whose weights a file may hold, then `head`.
    `freeze` keeps the convolutional part from training: `weights` only its parameters,
    `backbone` also its running statistics, which training then uses as evaluation does."""

    def __init__(self, features: nn.Module, head: nn.Module, freeze: str | None):
        super().__init__()
        self.features = features
        self.head = head
        self.freeze = freeze
        if freeze is not None:
            self.features.requires_grad_(False)

    def train(self, mode: bool = True) -> "WithBackbone":
        super().train(mode)
        if self.freeze == "backbone":
            self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))
