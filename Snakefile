# gradscape: from one configuration to one PDF.
#   data ── train ── probe ─┬─ figure ─┬─ tex ── pdf
#                           └─ table ──┘

import sys

sys.path.insert(0, f"{workflow.basedir}/workflow")

from gradscape.config import Experiment
from gradscape.dag import Dag, set_job_environment

set_job_environment()

# A configuration given on the command line stands instead of the default, not on top.
if not {"studies", "extends"} & set(config):

    configfile: "config/config.yaml"


experiment = Experiment(config)
dag = Dag(experiment)
RESULTS = str(experiment.results)


wildcard_constraints:
    dataset=r"cifar10|cifar100|generated10|generated100",
    study=r"[a-z0-9-]+",
    run=r"[^/]+",
    figure=r"[a-z0-9-]+",


localrules:
    all,
    runs,
    figures,
    report,


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.pdf",


rule runs:
    input:
        dag.runs(),


rule figures:
    input:
        dag.figures(),
        dag.tables(),


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
