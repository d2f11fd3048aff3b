# The report: configuration, template, figures and verdicts to LaTeX, LaTeX to PDF.
#   needs  latexmk and a small TeX, for the PDF only
#   makes  results/<config>/report.pdf, of one study <study>.pdf; beside it the sources as
#          an archive and, as LaTeX reads them, in report/; report.html to explore


# The configuration as it ran, with the command line's changes: for provenance, and to
# write the report again without Snakemake.
rule configuration:
    output:
        results.config,
    log:
        results.log("configuration.log"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        content=dag.configuration,
    message:
        "Keeping the configuration"
    shell:
        "printf '%s\\n' {params.content:q} > {output:q} 2> {log:q}"


# The configuration by its path, not as `rules.configuration.output`: that would make
# Snakemake compare each of the other inputs with all of them.
rule tex:
    input:
        config=results.config,
        claims=dag.claims,
        figures=dag.figures,
        tables=dag.tables,
        template=dag.template,
    output:
        results.tex("{document}"),
    log:
        results.log("tex", "{document}.log"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        results=jobs.results,
    message:
        "Writing {wildcards.document}"
    shell:
        "python -m gradscape tex {wildcards.document:q}"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " > {log:q} 2>&1"


rule pdf:
    input:
        rules.tex.output,
    output:
        pdf=report(
            results.pdf("{document}"),
            caption="../../report/captions/paper.rst",
            category="00 The report",
            labels=listed.document,
        ),
        source=results.archive("{document}"),
    log:
        results.log("pdf", "{document}.log"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        results=jobs.folder,
        title=listed.title,
    message:
        "Compiling {wildcards.document}"
    shell:
        "python -m gradscape pdf {wildcards.document:q}"
        " --results {params.results:q}"
        " > {log:q} 2>&1"


rule page:
    input:
        config=results.config,
        claims=dag.claims,
        figures=dag.figures,
        tables=dag.tables,
        template=dag.page_template,
    output:
        report(
            results.page,
            caption="../../report/captions/page.rst",
            category="00 The report",
            labels={
                "shows": "The report to explore",
                "kind": "page",
                "name": "report",
            },
        ),
    log:
        results.log("page.log"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        results=jobs.results,
    message:
        "Writing the page to explore"
    shell:
        "python -m gradscape page"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " > {log:q} 2>&1"


# From the runs that are finished, whatever is missing; trains nothing.
rule report:
    input:
        config=results.config,
    log:
        results.log("report.log"),
    localrule: True
    conda:
        "../../envs/report.yaml"
    params:
        results=jobs.results,
    message:
        "Writing the report from the runs that are finished"
    shell:
        "python -m gradscape report"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " > {log:q} 2>&1"
