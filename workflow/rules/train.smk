# One training: one model, learning rate and seed of one study.
#   needs  the dataset, and pretrained weights where a run starts from them
#   makes  results/<config>/runs/<study>/<run>/: tables, weights, and the run's record
#
# Weights and datasets are ancient(): checked by checksum, not by date. A dataset of the
# user's own is not, because it may change. Snakemake deletes a job's outputs before the job
# starts and after it fails, so all that it is told of is an empty file, `.done`. What was
# trained, and a checkpoint, it never touches: a finished run stands until the training has put
# a new one in its place. The training makes `.done` itself: a second command would keep the
# shell between it and the signals that stop it.


onstart:
    gc.enable()
    dag.begin(rules.configuration.output[0])


rule train:
    input:
        data=dag.dataset,
        weights=ancient(dag.weights),
        code=dependencies.of(dependencies.TRAINING),
        called=dag.training_code,
    output:
        results.trained("{study}", "{run}"),
    log:
        results.log("train", "{study}", "{run}.log"),
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
        " --update --done {output:q}"
        " > {log:q} 2>&1"
