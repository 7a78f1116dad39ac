# Measurements. Of all rules only label_quality and the report's pictures read the truth.


rule evaluate_samples:
    input:
        samples="results/samples/{run}/{task}",
        clips=expand("results/clips/evaluation/{shard}.h5", shard=shards("evaluation")),
        labels=evaluation_labels,
    output:
        quality="results/metrics/{run}/{task}/quality.json",
    log:
        "logs/evaluate_samples/{run}-{task}.log",
    benchmark:
        "benchmarks/evaluate_samples/{run}-{task}.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=evaluation_settings,
    shell:
        """
        python -m scripts.evaluate_samples --run {wildcards.run} --task {wildcards.task} \
            --settings {params.settings:q} --samples {input.samples:q} --clips {input.clips:q} \
            --labels {input.labels:q} --quality {output.quality:q} 2>&1 | tee {log:q}
        """


rule label_quality:
    input:
        truth=label_shards("truth", "evaluation"),
        entities=label_shards(variants("entities"), "evaluation"),
        depth=label_shards(variants("depth"), "evaluation"),
    output:
        quality="results/metrics/labels.json",
    log:
        "logs/label_quality.log",
    benchmark:
        "benchmarks/label_quality/all.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=section("seed", "metrics"),
    shell:
        """
        python -m scripts.label_quality --settings {params.settings:q} --truth {input.truth:q} \
            --entities {input.entities:q} --depth {input.depth:q} --quality {output.quality:q} 2>&1 | tee {log:q}
        """


rule codec_quality:
    input:
        entities=label_shards(
            f"entities/{settings.metrics.judge_entities}", "evaluation"
        ),
        depth=label_shards(f"depth/{settings.metrics.judge_depth}", "evaluation"),
    output:
        quality="results/metrics/codec.json",
    log:
        "logs/codec_quality.log",
    benchmark:
        "benchmarks/codec_quality/all.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=section("seed", "metrics", "encoding", "model", "labels"),
    shell:
        """
        python -m scripts.codec_quality --settings {params.settings:q} --entities {input.entities:q} \
            --depth {input.depth:q} --quality {output.quality:q} 2>&1 | tee {log:q}
        """


# Table 4 times models against each other, so nothing else may run beside it.
rule measure_runtime:
    input:
        runs=[f"results/runs/{run}" for run, _ in runtime_pairs()],
    output:
        runtimes=runtimes(),
    log:
        "logs/measure_runtime.log",
    benchmark:
        "benchmarks/measure_runtime/all.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: every_core
    params:
        settings=section("seed", "metrics", "clips", "sampling", "labels"),
    shell:
        """
        OMP_NUM_THREADS=1 python -m scripts.measure_runtime --settings {params.settings:q} --runs {input.runs:q} \
            --runtimes {output.runtimes:q} 2>&1 | tee {log:q}
        """
