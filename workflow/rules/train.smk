# One training: one model, learning rate and seed of one study.
#   needs  the dataset, and pretrained weights where a run starts from them
#   makes  results/<config>/runs/<study>/<run>/: tables, weights, and the run's record
#
# Dataset and weights are ancient(): checked by checksum, not by date. A dataset of the
# user's own is not, because it may change. The checkpoint in the run's folder is not an
# output, because Snakemake would delete it after a failed attempt; the training itself
# removes it at the end.

RUN = results.run("{study}", "{run}")


onstart:
    dag.begin()


rule train:
    input:
        data=ancient(dag.dataset),
        own=dag.own_dataset,
        weights=ancient(dag.weights),
        code=dag.training_code,
    output:
        f"{RUN}/metrics.csv",
        f"{RUN}/timing.csv",
        f"{RUN}/test.csv",
        f"{RUN}/steps.npz",
        f"{RUN}/gradients.npz",
        f"{RUN}/predictions.npz",
        f"{RUN}/model.pt",
        f"{RUN}/run.json",
    log:
        results.log("train", "{study}", "{run}.log"),
    benchmark:
        results.log("train", "{study}", "{run}.benchmark.tsv")
    conda:
        "../../envs/train.yaml"
    threads: experiment.threads
    resources:
        gpu=dag.gpus,
    params:
        spec=dag.run_spec,
        weights=jobs.weights_option,
        data=jobs.data_folder,
        out=jobs.folder,
    message:
        "Training {wildcards.study}: {wildcards.run}"
    shell:
        "python -m gradscape train"
        " --spec {params.spec:q}"
        " {params.weights:q}"
        " --data {params.data:q}"
        " --out {params.out:q}"
        " --threads {threads}"
        " > {log:q} 2>&1"
