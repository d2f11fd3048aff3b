# A dataset from its source to arrays, once for all configurations.
#   needs  data_dir or GRADSCAPE_DATA, or the network; generated images need nothing
#   makes  results/data/<dataset>/: images, labels, class names and checksums


localrules:
    data,


rule data:
    output:
        "results/data/{dataset}/images.npy",
        "results/data/{dataset}/labels.npy",
        "results/data/{dataset}/dataset.json",
    log:
        "results/data/logs/{dataset}.log",
    conda:
        "../../envs/train.yaml"
    params:
        data_dir=f"--data-dir {experiment.data_dir}" if experiment.data_dir else "",
    message:
        "Getting {wildcards.dataset}"
    shell:
        "python -m gradscape data {wildcards.dataset}"
        " --out results/data/{wildcards.dataset}"
        " {params.data_dir}"
        " > {log} 2>&1"
