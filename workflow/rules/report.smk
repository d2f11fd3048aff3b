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
    output:
        f"{RESULTS}/config.json",
    log:
        f"{RESULTS}/logs/configuration.log",
    conda:
        "../../envs/report.yaml"
    params:
        content=dag.configuration(),
    message:
        "Keeping the configuration"
    shell:
        "printf '%s\\n' {params.content:q} > {output} 2> {log}"


rule tex:
    input:
        config=rules.configuration.output,
        runs=dag.runs(),
        probes=dag.probes(),
        figures=dag.figures(),
        tables=dag.tables(),
        template=dag.template(),
    output:
        f"{RESULTS}/report/report.tex",
    log:
        f"{RESULTS}/logs/tex.log",
    conda:
        "../../envs/report.yaml"
    message:
        "Writing the report"
    shell:
        "python -m gradscape tex --config {input.config} > {log} 2>&1"


rule pdf:
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
    conda:
        "../../envs/report.yaml"
    params:
        results=dag.results,
        title=experiment.title,
    message:
        "Compiling the report"
    shell:
        "python -m gradscape pdf --results {params.results} > {log} 2>&1"


# From the runs that are there, whatever is missing: draws, writes, compiles, trains nothing.
rule report:
    input:
        rules.configuration.output,
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/report.yaml"
    message:
        "Writing the report from the runs that are finished"
    shell:
        "python -m gradscape report --config {input} > {log} 2>&1"
