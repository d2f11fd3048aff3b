# Figures, verdicts and tables, from the runs' files alone; nothing here can start a training.
#   needs  finished runs
#   makes  results/<config>/figures/<study>/<figure>.pdf, .svg and the facts for its caption
#          results/<config>/claims/<study>.json, and claims.csv with all verdicts
#          results/<config>/tables/<study>/<table>.csv and .html


rule figure:
    input:
        runs=dag.figure_runs,
        code=dag.figure_code,
        files=dag.figure_files,
    output:
        pdf=results.figure("{study}", "{figure}", "pdf"),
        svg=report(
            results.figure("{study}", "{figure}", "svg"),
            caption="../../report/captions/figure.rst",
            category=listed.category,
            labels=listed.figure,
        ),
        facts=results.figure("{study}", "{figure}", "txt"),
    log:
        results.log("figure", "{study}", "{figure}.log"),
    localrule: True
    conda:
        "../../envs/figures.yaml"
    params:
        spec=dag.figure_spec,
        caption=listed.caption,
        runs=jobs.run_folders,
    message:
        "Drawing {wildcards.study}: {wildcards.figure}"
    shell:
        "python -m gradscape figure"
        " --spec {params.spec:q}"
        " --out {output.pdf:q} {output.svg:q} {output.facts:q}"
        " --runs {params.runs:q}"
        " > {log:q} 2>&1"


# The configuration only where it changes what is decided, which `asked` tells.
rule claims:
    input:
        config=ancient(results.config),
        runs=dag.claims_files,
        code=dag.claims_code,
    output:
        verdicts=results.claims("{study}"),
        csv=results.table("{study}", "results"),
        html=report(
            results.table("{study}", "results", "html"),
            caption="../../report/captions/table.rst",
            category=listed.category,
            labels={
                "shows": "All runs and their scores",
                "kind": "table",
                "name": "results",
            },
        ),
    log:
        results.log("claims", "{study}.log"),
    localrule: True
    conda:
        "../../envs/figures.yaml"
    params:
        results=jobs.results,
        asked=dag.claims_asked,
    message:
        "Deciding {wildcards.study}"
    shell:
        "python -m gradscape claims"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " --study {wildcards.study:q}"
        " > {log:q} 2>&1"


rule verdicts:
    input:
        config=results.config,
        claims=dag.claims,
    output:
        results.claims_csv,
    log:
        results.log("verdicts.log"),
    localrule: True
    conda:
        "../../envs/figures.yaml"
    params:
        results=jobs.results,
    message:
        "Gathering the verdicts"
    shell:
        "python -m gradscape claims --read"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " > {log:q} 2>&1"


rule table:
    input:
        runs=dag.study_files,
        code=dag.table_code,
    output:
        csv=results.table("{study}", "{table}"),
        html=report(
            results.table("{study}", "{table}", "html"),
            caption="../../report/captions/table.rst",
            category=listed.category,
            labels={
                "shows": "Measures of {table}",
                "kind": "table",
                "name": "{table}",
            },
        ),
    log:
        results.log("table", "{study}", "{table}.log"),
    wildcard_constraints:
        table=r"(?!results\b)\w+",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    params:
        runs=jobs.run_folders,
    message:
        "Gathering {wildcards.study}: {wildcards.table}"
    shell:
        "python -m gradscape table {wildcards.table:q}"
        " --out {output.csv:q}"
        " --runs {params.runs:q}"
        " > {log:q} 2>&1"
