"""Metrics, tables, theory, and the verdict on each claim."""
