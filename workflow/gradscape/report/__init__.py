"""From finished runs to verdicts, LaTeX and PDF. No torch here."""
