# Measurements. Of all rules only label_quality and the report's pictures read the truth.


# Features of the real clips are extracted once, not once for each model.
rule extract_features:
    input:
        records=fetched("metrics.*_encoder"),
        clips=lambda wildcards: flow.clip_shard(wildcards.split, wildcards.shard),
    output:
        features="results/features/{split}/{shard}.h5",
    log:
        "logs/extract_features/{split}/{shard}.log",
    benchmark:
        "benchmarks/extract_features/{split}/{shard}.tsv"
    wildcard_constraints:
        split=r"evaluation|samples/[a-z0-9_-]+/[a-z0-9_]+",
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.extract_features),
        content=content("metrics.*_encoder", "metrics.interpolator"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output.features:q} -- \
            scripts.extract_features --job {params.job:q} --execution "$EXECUTION" --clips {input.clips:q} \
            --features {output.features:q} \
            --timing benchmarks/extract_features/{wildcards.split:q}/{wildcards.shard:q}.json 2>&1 | tee {log:q}
        """


# The constant control reads one small file, not every training label: each job of labels leaves the mean of its own.
rule mean_labels:
    input:
        means=lambda wildcards: flow.label_means(wildcards.labeller),
    output:
        mean="results/depth/{labeller}/mean.npz",
    log:
        "logs/mean_labels/{labeller}.log",
    benchmark:
        "benchmarks/mean_labels/{labeller}.tsv"
    conda:
        environment
    message:
        brief
    shell:
        """
        python -m scripts.mean_labels --means {input.means:q} --mean {output.mean:q} 2>&1 | tee {log:q}
        """


rule compare_samples:
    input:
        unpack(
            lambda wildcards: flow.comparison_inputs(
                wildcards.run, wildcards.task, wildcards.shard
            )
        ),
        predictions="results/samples/{run}/{task}/{shard}.dense.h5",
        clips="results/samples/{run}/{task}/{shard}.clips.h5",
    output:
        comparison="results/comparisons/{run}/{task}/{shard}.h5",
    log:
        "logs/compare_samples/{run}-{task}-{shard}.log",
    benchmark:
        "benchmarks/compare_samples/{run}-{task}-{shard}.tsv"
    conda:
        environment
    params:
        job=job(workflow_jobs.compare_samples, "run", "task"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus 0 --resumes {output.comparison:q} -- \
            scripts.compare_samples --job {params.job:q} --predictions {input.predictions:q} --clips {input.clips:q} \
            --reference {input.reference:q} --comparators {input.comparators:q} --mean {input.mean:q} \
            --comparison {output.comparison:q} 2>&1 | tee {log:q}
        """


rule evaluate_samples:
    input:
        unpack(lambda wildcards: flow.evaluation_inputs(wildcards.run, wildcards.task)),
    output:
        quality="results/metrics/{run}/{task}/quality.json",
    log:
        "logs/evaluate_samples/{run}-{task}.log",
    benchmark:
        "benchmarks/evaluate_samples/{run}-{task}.tsv"
    conda:
        environment
    params:
        job=job(workflow_jobs.evaluate_samples, "run", "task"),
    message:
        brief
    shell:
        """
        python -m scripts.evaluate_samples --job {params.job:q} --features {input.features:q} \
            --reference {input.reference:q} --comparisons {input.comparisons:q} --quality {output.quality:q} \
            2>&1 | tee {log:q}
        """


# Of distances on subsets that every run's figures hold: no features are read again.
rule compare_with_base:
    input:
        **flow.base_comparison_inputs(),
    output:
        quality="results/metrics/against_base.json",
    log:
        "logs/compare_with_base.log",
    benchmark:
        "benchmarks/compare_with_base/all.tsv"
    conda:
        environment
    params:
        job=job(workflow_jobs.compare_with_base),
    message:
        brief
    shell:
        """
        python -m scripts.compare_with_base --job {params.job:q} --measured {input.measured:q} \
            --runs {input.runs:q} --quality {output.quality:q} 2>&1 | tee {log:q}
        """


rule label_quality:
    input:
        truth=flow.shard_paths("truth", "evaluation"),
        entities=flow.variant_shards("entities", "evaluation"),
        depth=flow.variant_shards("depth", "evaluation"),
        captions=flow.described_captions("evaluation"),
    output:
        quality="results/metrics/labels.json",
    log:
        "logs/label_quality.log",
    benchmark:
        "benchmarks/label_quality/all.tsv"
    conda:
        environment
    params:
        job=job(workflow_jobs.label_quality),
    message:
        brief
    shell:
        """
        python -m scripts.label_quality --job {params.job:q} --truth {input.truth:q} --entities {input.entities:q} \
            --depth {input.depth:q} --captions {input.captions:q} --quality {output.quality:q} 2>&1 | tee {log:q}
        """


rule codec_quality:
    input:
        records=fetched("model.base"),
        entities=flow.codec_shards("entities"),
        depth=flow.codec_shards("depth"),
    output:
        quality="results/metrics/codec.json",
    log:
        "logs/codec_quality.log",
    benchmark:
        "benchmarks/codec_quality/all.tsv"
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.codec_quality),
        content=content("model.base"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} -- \
            scripts.codec_quality --job {params.job:q} --execution "$EXECUTION" --entities {input.entities:q} \
            --depth {input.depth:q} --quality {output.quality:q} 2>&1 | tee {log:q}
        """


# Table 4 times models against each other, so nothing else may run beside it.
rule measure_runtime:
    input:
        records=fetched("model.base"),
        runs=[f"results/runs/{run}" for run, _ in flow.runtime_pairs()],
    output:
        runtimes=flow.runtime_files(),
    log:
        "logs/measure_runtime.log",
    benchmark:
        "benchmarks/measure_runtime/all.tsv"
    conda:
        environment
    threads: every_core
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.measure_runtime),
        content=content("model.base"),
    message:
        brief
    shell:
        """
        OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python -m scripts.launch --gpus {resources.gpu:q} -- \
            scripts.measure_runtime --job {params.job:q} \
            --execution "$EXECUTION" --runs {input.runs:q} --runtimes {output.runtimes:q} 2>&1 | tee {log:q}
        """
