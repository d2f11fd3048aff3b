"""What is measured on a network while it trains, or afterwards from its weights.

`along_gradient`, `gradient_change` and `gradient_flow` are called by training. Those
below are stages of their own: each takes a finished run (`Trained`) and options, and
returns the rows of a tidy table. A probe is the function that has its file's name.
"""
