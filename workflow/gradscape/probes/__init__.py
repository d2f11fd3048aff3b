"""What is measured on a network while it trains, or afterwards from its weights.

`along_gradient`, `gradient_change` and `gradient_flow` are called by training. Those
below are stages of their own: each takes a finished run (`Trained`) and options, and
returns the rows of a tidy table. The registry is text, so that reading a config imports
no torch.
"""

PROBES = {
    "explanations": "gradscape.probes.explanations:explanations",
    "feature_maps": "gradscape.probes.feature_maps:feature_maps",
    "filters": "gradscape.probes.filters:filters",
    "hessian": "gradscape.probes.hessian:hessian",
    "predictions": "gradscape.probes.predictions:predictions",
    "signal": "gradscape.probes.signal:signal",
    "surface": "gradscape.probes.surface:surface",
}
