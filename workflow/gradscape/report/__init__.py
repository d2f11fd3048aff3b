"""Finished runs and verdicts as LaTeX, PDF and a page. No torch here."""
