from gradscape import SNAKEFILE  # noqa: F401  (a project's Snakefile from before 0.3)
