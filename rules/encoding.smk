# Latents of videos and of dense predictions as colormaps, and prompt embeddings, each computed once.


rule encode_latents:
    input:
        source=latent_source,
    output:
        latents="results/latents/{stream}/{split}/{shard}.h5",
    log:
        "logs/encode_latents/{stream}-{split}-{shard}.log",
    benchmark:
        "benchmarks/encode_latents/{stream}-{split}-{shard}.tsv"
    wildcard_constraints:
        stream=r"video|(depth|pixelplanes|location)-\w+",
    priority: 1  # see rules/common.smk
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=latent_settings,
    shell:
        """
        python -m scripts.encode_latents --stream {wildcards.stream} --settings {params.settings:q} \
            --source {input.source:q} --latents {output.latents:q} \
            --timing benchmarks/encode_latents/{wildcards.stream}-{wildcards.split}-{wildcards.shard}.json 2>&1 | tee {log:q}
        """


rule encode_text:
    input:
        captions="results/captions/{split}/{shard}.parquet",
    output:
        text="results/latents/text-{style}/{split}/{shard}.h5",
    log:
        "logs/encode_text/{style}-{split}-{shard}.log",
    benchmark:
        "benchmarks/encode_text/{style}-{split}-{shard}.tsv"
    wildcard_constraints:
        style="plain|seg|depth",
    priority: 1  # see rules/common.smk
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=text_settings,
    shell:
        """
        python -m scripts.encode_text --style {wildcards.style} --settings {params.settings:q} \
            --captions {input.captions:q} --text {output.text:q} 2>&1 | tee {log:q}
        """
