# Latents of videos and of dense predictions as colormaps, and prompt embeddings, each computed once.


rule encode_latents:
    input:
        records=fetched("model.base"),
        source=lambda wildcards: flow.stream_source(
            wildcards.stream, wildcards.split, wildcards.shard
        ),
        before=lambda wildcards: ancient(
            flow.runs_before(wildcards.split, "latents", wildcards.stream)
        ),
    output:
        latents="results/latents/{stream}/{split}/{shard}.h5",
    log:
        "logs/encode_latents/{stream}-{split}-{shard}.log",
    benchmark:
        "benchmarks/encode_latents/{stream}-{split}-{shard}.tsv"
    wildcard_constraints:
        stream=r"video|[a-z0-9]+-[a-z0-9]+-[a-z0-9_]+",
        split="train|evaluation",
    priority: 1  # see rules/common.smk
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.encode_latents, "stream"),
        content=content("model.base"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output.latents:q} -- \
            scripts.encode_latents --job {params.job:q} --execution "$EXECUTION" --stream {wildcards.stream:q} \
            --source {input.source:q} --latents {output.latents:q} \
            --timing benchmarks/encode_latents/{wildcards.stream:q}-{wildcards.split:q}-{wildcards.shard:q}.json 2>&1 | tee {log:q}
        """


# Streams of one run alone, under `storage.keep: needed`: made in that run's turn, and removed after its training. A run that
# was trained before does not rerun them.
use rule encode_latents as encode_run_latents with:
    output:
        latents=temp("results/latents/{stream}/{split}/{shard}.h5"),
    wildcard_constraints:
        stream="|".join(flow.passing_streams()) or "(?!)",
        split="train",


ruleorder: encode_run_latents > encode_latents


# A job loads the text encoder for one shard: 500 clips are 20 seconds of work on an A100, hardly more than the load. Where
# clips are many, `encoding.text: live` loads it once for a training instead; of two thousand clips, 60 loads are an hour.
rule encode_text:
    input:
        records=fetched("model.base"),
        captions="results/captions/{split}/{shard}.parquet",
    output:
        text="results/latents/text-{style}/{split}/{shard}.h5",
    log:
        "logs/encode_text/{style}-{split}-{shard}.log",
    benchmark:
        "benchmarks/encode_text/{style}-{split}-{shard}.tsv"
    wildcard_constraints:
        style="[a-z0-9]+",
        split="train|evaluation",
    priority: 1  # see rules/common.smk
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.encode_text, "style"),
        content=content("model.base"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output.text:q} -- \
            scripts.encode_text --job {params.job:q} --execution "$EXECUTION" --captions {input.captions:q} \
            --text {output.text:q} \
            --timing benchmarks/encode_text/{wildcards.style:q}-{wildcards.split:q}-{wildcards.shard:q}.json 2>&1 | tee {log:q}
        """
