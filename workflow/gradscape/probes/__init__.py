"""Probes: measurements on a trained network from its weights, one file each, whose function
takes a finished run (`Trained`) and options and returns the rows of a tidy table."""
