# Figures and tables, from the runs' tables alone; nothing here can cause a training.
#   needs  finished runs
#   makes  results/<config>/figures/<study>/<figure>.pdf, .svg and the facts for its caption
#          results/<config>/tables/<study>/<table>.csv

FIGURE = f"{RESULTS}/figures/{{study}}/{{figure}}"


localrules:
    figure,
    table,


rule figure:
    input:
        runs=dag.figure_runs,
        code=dag.figure_code,
    output:
        pdf=f"{FIGURE}.pdf",
        svg=report(
            f"{FIGURE}.svg",
            caption="../../report/captions/figure.rst",
            category="{study}",
            labels={"figure": "{figure}"},
        ),
        facts=f"{FIGURE}.txt",
    log:
        f"{RESULTS}/logs/figure/{{study}}/{{figure}}.log",
    conda:
        "../../envs/figures.yaml"
    params:
        spec=dag.figure_spec,
        caption=dag.figure_caption,
        runs=dag.figure_directories,
    message:
        "Drawing {wildcards.study}: {wildcards.figure}"
    shell:
        "python -m gradscape figure"
        " --spec {params.spec:q}"
        " --out {output.pdf} {output.svg} {output.facts}"
        " --runs {params.runs}"
        " > {log} 2>&1"


rule table:
    input:
        runs=dag.study_runs,
        code=["workflow/gradscape/results/tables.py", "workflow/gradscape/results/smoothness.py"],
    output:
        report(
            f"{RESULTS}/tables/{{study}}/{{table}}.csv",
            caption="../../report/captions/table.rst",
            category="{study}",
            labels={"figure": "table: {table}"},
        ),
    log:
        f"{RESULTS}/logs/table/{{study}}/{{table}}.log",
    conda:
        "../../envs/figures.yaml"
    params:
        runs=dag.study_directories,
    message:
        "Gathering {wildcards.study}: {wildcards.table}"
    shell:
        "python -m gradscape table {wildcards.table}"
        " --out {output}"
        " --runs {params.runs}"
        " > {log} 2>&1"
