# Entities, depth and captions of each shard of clips.


rule segment_entities:
    input:
        clips="results/clips/{split}/{shard}.h5",
    output:
        entities="results/entities/{prompting}/{split}/{shard}.h5",
    log:
        "logs/segment_entities/{prompting}-{split}-{shard}.log",
    benchmark:
        "benchmarks/segment_entities/{prompting}-{split}-{shard}.tsv"
    priority: 1  # see rules/common.smk
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=entity_settings,
    shell:
        """
        python -m scripts.segment_entities --settings {params.settings:q} --clips {input.clips:q} \
            --entities {output.entities:q} \
            --timing benchmarks/segment_entities/{wildcards.prompting}-{wildcards.split}-{wildcards.shard}.json 2>&1 | tee {log:q}
        """


rule estimate_depth:
    input:
        clips="results/clips/{split}/{shard}.h5",
    output:
        depth="results/depth/{estimator}/{split}/{shard}.h5",
    log:
        "logs/estimate_depth/{estimator}-{split}-{shard}.log",
    benchmark:
        "benchmarks/estimate_depth/{estimator}-{split}-{shard}.tsv"
    priority: 1  # see rules/common.smk
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=depth_settings,
    shell:
        """
        python -m scripts.estimate_depth --settings {params.settings:q} --clips {input.clips:q} \
            --depth {output.depth:q} \
            --timing benchmarks/estimate_depth/{wildcards.estimator}-{wildcards.split}-{wildcards.shard}.json 2>&1 | tee {log:q}
        """


rule write_captions:
    input:
        clips="results/clips/{split}/{shard}.h5",
    output:
        captions="results/captions/{split}/{shard}.parquet",
    log:
        "logs/write_captions/{split}-{shard}.log",
    benchmark:
        "benchmarks/write_captions/{split}-{shard}.tsv"
    priority: 1  # see rules/common.smk
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=caption_settings(),
    shell:
        """
        python -m scripts.write_captions --settings {params.settings:q} --clips {input.clips:q} \
            --captions {output.captions:q} 2>&1 | tee {log:q}
        """
