# One training: one model, learning rate and seed of one study.
#   needs  the dataset, and pretrained weights where a run starts from them
#   makes  results/<config>/runs/<study>/<run>/: tables, weights, and the run's record
#
# Dataset and weights are ancient(): checked by checksum, not by date. The checkpoint
# is no output, because Snakemake would delete it with a failed attempt; it is removed by
# the training itself, at the end.

RUN = f"{RESULTS}/runs/{{study}}/{{run}}"


onstart:
    dag.say_what_is_left_out()


rule train:
    input:
        data=ancient(dag.dataset),
        weights=ancient(dag.weights),
        code=dag.training_code,
    output:
        f"{RUN}/metrics.csv",
        f"{RUN}/timing.csv",
        f"{RUN}/test.csv",
        f"{RUN}/steps.npz",
        f"{RUN}/gradients.npz",
        f"{RUN}/model.pt",
        f"{RUN}/run.json",
    log:
        f"{RESULTS}/logs/train/{{study}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/logs/train/{{study}}/{{run}}.benchmark.tsv"
    conda:
        "../../envs/train.yaml"
    threads: experiment.threads
    resources:
        gpu=dag.gpus,
    params:
        settings=dag.settings,
        out=RUN,
        checkpoint=f"{RUN}/.checkpoint.pt",
    message:
        "Training {wildcards.study}: {wildcards.run}"
    shell:
        "python -m gradscape train"
        " {params.settings}"
        " --study {wildcards.study}"
        " --name {wildcards.run}"
        " --data results/data"
        " --out {params.out}"
        " --checkpoint {params.checkpoint}"
        " --threads {threads}"
        " > {log} 2>&1"
