"""From tables and figures to LaTeX and PDF. No torch here.

The tables by name; each function takes finished runs and returns a tidy data frame. The
registry is text, so that reading a config loads no pandas.
"""

TABLES = {
    "results": "gradscape.results.tables:results_table",
    "smoothness": "gradscape.results.tables:smoothness_table",
}
