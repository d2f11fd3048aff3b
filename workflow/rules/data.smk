# A dataset from its source to arrays, once for all configurations.
#   needs  data_dir or GRADSCAPE_DATA, or the network; generated images need nothing
#   makes  results/data/<dataset>/: images, labels, class names and checksums


rule data:
    input:
        dag.own_file,
    output:
        "results/data/{dataset}/images.npy",
        "results/data/{dataset}/labels.npy",
        "results/data/{dataset}/dataset.json",
    log:
        "results/data/logs/{dataset}.log",
    localrule: True
    conda:
        "../../envs/train.yaml"
    params:
        source=dag.source,
        out=jobs.folder,
        options=dag.data_options,
        listing=dag.listing,
    message:
        "Getting {wildcards.dataset}"
    shell:
        "python -m gradscape data {params.source:q}"
        " --out {params.out:q}"
        " {params.options:q}"
        " > {log:q} 2>&1"
