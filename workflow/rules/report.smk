# The report: configuration, template, figures and tables to LaTeX, LaTeX to PDF.
#   needs  latexmk and a small TeX, for the PDF only
#   makes  results/<config>/report.pdf, of one study <study>.pdf; beside it the sources as
#          an archive and, before LaTeX, report/


wildcard_constraints:
    document="|".join(["report", *experiment.studies]),


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


# The configuration by its path, not as `rules.configuration.output`: with that, Snakemake
# compares every one of the other inputs with all of them.
rule tex:
    input:
        config=f"{RESULTS}/config.json",
        runs=dag.runs,
        probes=dag.probes,
        figures=dag.figures,
        tables=dag.tables,
        template=dag.template,
    output:
        f"{RESULTS}/report/{{document}}.tex",
    log:
        f"{RESULTS}/logs/tex/{{document}}.log",
    conda:
        "../../envs/report.yaml"
    message:
        "Writing {wildcards.document}"
    shell:
        "python -m gradscape tex {wildcards.document} --config {input.config} > {log} 2>&1"


rule pdf:
    input:
        rules.tex.output,
    output:
        pdf=report(
            f"{RESULTS}/{{document}}.pdf",
            caption="../../report/captions/paper.rst",
            category="report",
            labels={"figure": "{document}"},
        ),
        source=f"{RESULTS}/{{document}}-source.tar.gz",
    log:
        f"{RESULTS}/logs/pdf/{{document}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        results=dag.results,
        title=experiment.title,
    message:
        "Compiling {wildcards.document}"
    shell:
        "python -m gradscape pdf {wildcards.document} --results {params.results}"
        " > {log} 2>&1"


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
