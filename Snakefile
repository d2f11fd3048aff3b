# gradscape: from one configuration to one PDF.
#   data ── train ── probe ─┬─ figure ─┬─ tex ── pdf
#                           └─ claims ─┘
import re


include: "workflow/package.smk"


# A configuration given on the command line replaces the default; it is not laid over it.
if not {"studies", "extends"} & set(config):

    configfile: f"{workflow.current_basedir}/config/config.yaml"


experiment = jobs.experiment(config, workflow.configfiles)
results = experiment.results
dag = jobs.Dag(experiment, workflow)
listed = Listed(experiment)


wildcard_constraints:
    dataset="|".join(map(re.escape, experiment.datasets)),
    study="|".join(experiment.studies),
    run=r"[^/]+",
    figure=r"[a-z0-9-]+",
    document="|".join(["report", *experiment.studies, *experiment.courses]),


report: "report/captions/workflow.rst"


rule all:
    default_target: True
    input:
        dag.documents(),
        dag.files(experiment.runs),  # or a retraining that failed is not tried again
    localrule: True


rule runs:
    input:
        dag.records(experiment.runs),
    localrule: True


rule figures:
    input:
        dag.figures(),
        dag.tables(),
    localrule: True


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
