"""Training: a run from its settings to its directory, or from where it stopped."""
