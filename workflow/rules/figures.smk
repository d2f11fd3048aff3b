# Figures and tables, from the runs' tables alone; nothing here can start a training.
#   needs  finished runs
#   makes  results/<config>/figures/<study>/<figure>.pdf, .svg and the facts for its caption
#          results/<config>/tables/<study>/<table>.csv and .html


rule figure:
    input:
        runs=dag.figure_runs,
        code=dag.figure_code,
    output:
        pdf=results.figure("{study}", "{figure}", "pdf"),
        svg=report(
            results.figure("{study}", "{figure}", "svg"),
            caption="../../report/captions/figure.rst",
            category=dag.category,
            labels={"shows": "Figure: {figure}"},
        ),
        facts=results.figure("{study}", "{figure}", "txt"),
    log:
        results.log("figure", "{study}", "{figure}.log"),
    localrule: True
    conda:
        "../../envs/figures.yaml"
    params:
        spec=dag.figure_spec,
        caption=dag.figure_caption,
        runs=jobs.run_folders,
    message:
        "Drawing {wildcards.study}: {wildcards.figure}"
    shell:
        "python -m gradscape figure"
        " --spec {params.spec:q}"
        " --out {output.pdf:q} {output.svg:q} {output.facts:q}"
        " --runs {params.runs:q}"
        " > {log:q} 2>&1"


rule table:
    input:
        runs=dag.study_runs,
        code=dag.table_code,
    output:
        csv=results.table("{study}", "{table}"),
        html=report(
            results.table("{study}", "{table}", "html"),
            caption="../../report/captions/table.rst",
            category=dag.category,
            labels={"shows": "Table: {table}"},
        ),
    log:
        results.log("table", "{study}", "{table}.log"),
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
