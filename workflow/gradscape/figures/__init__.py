"""The figures: one function a figure, from finished runs to matplotlib. No torch here.

A drawing takes a `Figure` and its finished runs and returns the picture and one or more
sentences of facts about it (seeds, rates, smoothing) that the report adds to the caption.
A new one is a module and a line below. The registry is text, so that reading a config
loads neither pandas nor matplotlib.
"""

DRAWINGS = {
    "against": "gradscape.figures.against:against",
    "comparison": "gradscape.figures.comparison:comparison",
    "calibration": "gradscape.figures.calibration:calibration",
    "confusion": "gradscape.figures.confusion:confusion",
    "curves": "gradscape.figures.curves:curves",
    "explanations": "gradscape.figures.explanations:explanations",
    "feature_maps": "gradscape.figures.feature_maps:feature_maps",
    "filters": "gradscape.figures.filters:filters",
    "gradient_flow": "gradscape.figures.gradient_flow:gradient_flow",
    "loss_band": "gradscape.figures.loss_band:loss_band",
    "loss_surface": "gradscape.figures.loss_surface:loss_surface",
    "signal_propagation": "gradscape.figures.signal_propagation:signal_propagation",
    "smoothness": "gradscape.figures.smoothness:smoothness",
}

# The probes that a drawing reads; it cannot do without the first.
PROBES_DRAWN = {
    "calibration": ["predictions"],
    "confusion": ["predictions"],
    "explanations": ["explanations"],
    "feature_maps": ["feature_maps"],
    "filters": ["filters"],
    "loss_surface": ["surface", "hessian"],
    "signal_propagation": ["signal"],
}
