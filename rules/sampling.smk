# Videos with their dense predictions for the captions of the evaluation split, the same noise for every model.


rule sample:
    input:
        run="results/runs/{run}",
        captions=expand(
            "results/captions/evaluation/{shard}.parquet", shard=shards("evaluation")
        ),
    output:
        samples=directory("results/samples/{run}/{task}"),
    log:
        "logs/sample/{run}-{task}.log",
    benchmark:
        "benchmarks/sample/{run}-{task}.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=sample_settings,
    shell:
        """
        python -m scripts.sample --run {input.run:q} --task {wildcards.task} --settings {params.settings:q} \
            --captions {input.captions:q} --samples {output.samples:q} 2>&1 | tee {log:q}
        """
