# Imports gradscape for all rules: Snakemake looks for modules beside each file it includes.
import gc

from gradscape.pipeline import dependencies, jobs
from gradscape.pipeline.listed import Listed

jobs.set_job_environment()
# Off until the first job: thousands of jobs leave no garbage while they are made, and looking
# for it takes a fifth of the time.
gc.disable()
