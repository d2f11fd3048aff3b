"""Finished runs: read back, checked, exported."""
