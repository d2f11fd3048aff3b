# A measurement on a trained network, from its weights and its training images.
#   needs  the run's weights, the dataset
#   makes  results/<config>/runs/<study>/<run>/probes/<probe>.csv


rule probe:
    input:
        data=dag.dataset,
        trained=results.trained("{study}", "{run}"),
        code=dependencies.of(dependencies.PROBING),
        called=dag.probe_code,
    output:
        results.probed("{study}", "{run}", "{probe}"),
    log:
        results.log("probe", "{study}", "{run}_{probe}.log"),
    conda:
        "../../envs/train.yaml"
    threads: experiment.threads
    resources:
        gpu=dag.gpus,
    params:
        measure=dag.probe_measure,
        options=dag.probe_options,
        own=dag.own_programs,
        data=jobs.data_folder,
        run=jobs.probed_folder,
    message:
        "Probing {wildcards.study}: {wildcards.probe} of {wildcards.run}"
    shell:
        "python -m gradscape probe {params.measure:q}"
        " --run {params.run:q}"
        " --options {params.options:q}"
        " {params.own:q}"
        " --data {params.data:q}"
        " --out {params.run:q}/probes/{wildcards.probe:q}.csv"
        " --threads {threads}"
        " --done {output:q}"
        " > {log:q} 2>&1"
