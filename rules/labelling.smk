# Entities and depth of each shard of clips, generated ones included, and captions of the data set's.


rule segment_entities:
    input:
        records=fetched(
            "labels.tracker.checkpoint", "labels.entities.{labeller}.segmenter"
        ),
        clips=lambda wildcards: flow.clip_shard(wildcards.split, wildcards.shard),
        enough=ancient(flow.enough("videos")),
        allowed=complete,
        before=lambda wildcards: ancient(
            flow.runs_before(wildcards.split, "entities", wildcards.labeller)
        ),
    output:
        entities="results/entities/{labeller}/{split}/{shard}.h5",
        summary="results/entities/{labeller}/{split}/{shard}.json",
    log:
        "logs/segment_entities/{labeller}/{split}/{shard}.log",
    benchmark:
        "benchmarks/segment_entities/{labeller}/{split}/{shard}.tsv"
    priority: 1  # see rules/common.smk
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(data_jobs.segment_entities, "labeller"),
        content=content(
            "labels.tracker.checkpoint", "labels.entities.{labeller}.segmenter"
        ),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output.entities:q} -- \
            scripts.segment_entities --job {params.job:q} --execution "$EXECUTION" --clips {input.clips:q} \
            --entities {output.entities:q} --summary {output.summary:q} \
            --timing benchmarks/segment_entities/{wildcards.labeller:q}/{wildcards.split:q}/{wildcards.shard:q}.json \
            2>&1 | tee {log:q}
        """


rule estimate_depth:
    input:
        records=fetched("labels.depth.{labeller}.*"),
        clips=lambda wildcards: flow.clip_shard(wildcards.split, wildcards.shard),
        enough=ancient(flow.enough("videos")),
        before=lambda wildcards: ancient(
            flow.runs_before(wildcards.split, "depth", wildcards.labeller)
        ),
    output:
        depth="results/depth/{labeller}/{split}/{shard}.h5",
        summary="results/depth/{labeller}/{split}/{shard}.json",
        mean="results/depth/{labeller}/{split}/{shard}.mean.npz",
    log:
        "logs/estimate_depth/{labeller}/{split}/{shard}.log",
    benchmark:
        "benchmarks/estimate_depth/{labeller}/{split}/{shard}.tsv"
    priority: 1  # see rules/common.smk
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(data_jobs.estimate_depth, "labeller"),
        content=content("labels.depth.{labeller}.*"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output.depth:q} -- \
            scripts.estimate_depth --job {params.job:q} --execution "$EXECUTION" --clips {input.clips:q} \
            --depth {output.depth:q} --summary {output.summary:q} --mean {output.mean:q} \
            --timing benchmarks/estimate_depth/{wildcards.labeller:q}/{wildcards.split:q}/{wildcards.shard:q}.json \
            2>&1 | tee {log:q}
        """


# Training labels for one run alone, see encode_run_latents; their figures and their mean stay.
use rule segment_entities as segment_run_entities with:
    output:
        entities=temp("results/entities/{labeller}/{split}/{shard}.h5"),
        summary="results/entities/{labeller}/{split}/{shard}.json",
    wildcard_constraints:
        labeller="|".join(flow.passing_labellers("entities")) or "(?!)",
        split="train",


use rule estimate_depth as estimate_run_depth with:
    output:
        depth=temp("results/depth/{labeller}/{split}/{shard}.h5"),
        summary="results/depth/{labeller}/{split}/{shard}.json",
        mean="results/depth/{labeller}/{split}/{shard}.mean.npz",
    wildcard_constraints:
        labeller="|".join(flow.passing_labellers("depth")) or "(?!)",
        split="train",


ruleorder: segment_run_entities > segment_entities
ruleorder: estimate_run_depth > estimate_depth


rule write_captions:
    input:
        records=fetched("model.base", "labels.captions.captioner"),
        clips="results/clips/{split}/{shard}.h5",
        enough=ancient(flow.enough("videos")),
    output:
        captions="results/captions/{split}/{shard}.parquet",
    log:
        "logs/write_captions/{split}-{shard}.log",
    benchmark:
        "benchmarks/write_captions/{split}-{shard}.tsv"
    wildcard_constraints:
        split="train|evaluation",
    priority: 1  # see rules/common.smk
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(data_jobs.write_captions),
        content=content("model.base", "labels.captions.captioner"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output.captions:q} -- \
            scripts.write_captions --job {params.job:q} --execution "$EXECUTION" --clips {input.clips:q} \
            --captions {output.captions:q} \
            --timing benchmarks/write_captions/{wildcards.split:q}-{wildcards.shard:q}.json 2>&1 | tee {log:q}
        """
