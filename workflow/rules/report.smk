# The report: configuration, template, figures and tables to LaTeX, LaTeX to PDF.
#   needs  latexmk and a small TeX, for the PDF only
#   makes  results/<config>/report.pdf, report-source.tar.gz and, before LaTeX, report/


localrules:
    configuration,
    tex,
    pdf,
    report,


# The configuration as it ran, with the command line's changes: provenance, and what
# writes the report again without Snakemake.
rule configuration:
    message:
        "Keeping the configuration"
    output:
        f"{RESULTS}/config.json",
    log:
        f"{RESULTS}/logs/configuration.log",
    params:
        content=dag.configuration(),
    conda:
        "../../envs/report.yaml"
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule tex:
    message:
        "Writing the report"
    input:
        config=rules.configuration.output,
        runs=dag.runs(),
        figures=dag.figures(),
        tables=dag.tables(),
        template=dag.template(),
    output:
        f"{RESULTS}/report/report.tex",
    log:
        f"{RESULTS}/logs/tex.log",
    conda:
        "../../envs/report.yaml"
    shell:
        "python -m gradscape tex --config {input.config} > {log} 2>&1"


rule pdf:
    message:
        "Compiling the report"
    input:
        rules.tex.output,
    output:
        pdf=report(
            f"{RESULTS}/report.pdf",
            caption="../../report/captions/paper.rst",
            category="report",
            labels={"figure": "report"},
        ),
        source=f"{RESULTS}/report-source.tar.gz",
    log:
        f"{RESULTS}/logs/pdf.log",
    params:
        results=RESULTS,
        title=experiment.title,
    conda:
        "../../envs/report.yaml"
    shell:
        "python -m gradscape pdf --results {params.results} > {log} 2>&1"


# From the runs that are there, whatever is missing: draws, writes, compiles, trains nothing.
rule report:
    message:
        "Writing the report from the runs that are finished"
    input:
        rules.configuration.output,
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/report.yaml"
    shell:
        "python -m gradscape report --config {input} > {log} 2>&1"
