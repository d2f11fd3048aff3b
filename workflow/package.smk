# Imports gradscape for all rules: Snakemake looks for modules beside each file it includes.
from gradscape.pipeline import jobs
from gradscape.pipeline.listed import Listed

jobs.set_job_environment()
