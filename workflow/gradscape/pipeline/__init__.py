"""The workflow's jobs, what they depend on and what they cost."""
