"""gradscape: why deep networks refuse to train, and what BN and residuals change."""

__version__ = "0.2.0"
