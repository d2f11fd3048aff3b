"""What the runs say: metrics, tables, theory, and the verdict on each claim."""
