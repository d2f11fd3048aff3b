"""Tables, claims and the LaTeX report, from finished runs. No torch here."""
