# What is measured on a trained network, from its weights and its training images.
#   needs  the run's weights, the dataset
#   makes  results/<config>/runs/<study>/<run>/probes/<probe>.csv


rule probe:
    input:
        data=ancient(dag.dataset),
        weights=f"{RUN}/model.pt",
        code=dag.probe_code,
    output:
        f"{RUN}/probes/{{probe}}.csv",
    log:
        f"{RESULTS}/logs/probe/{{study}}/{{run}}_{{probe}}.log",
    conda:
        "../../envs/train.yaml"
    threads: experiment.threads
    resources:
        gpu=dag.gpus,
    params:
        options=dag.probe_options,
    message:
        "Probing {wildcards.study}: {wildcards.probe} of {wildcards.run}"
    shell:
        "python -m gradscape probe {wildcards.probe}"
        " --run $(dirname {input.weights})"
        " --options {params.options:q}"
        " --data results/data"
        " --out {output}"
        " --threads {threads}"
        " > {log} 2>&1"
