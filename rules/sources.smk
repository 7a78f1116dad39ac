# Clips of the configured source, and for scenes their exact truth, which only measuring rules may read.

if settings.source.kind == "scenes":

    rule render_scenes:
        output:
            clips="results/clips/{split}/{shard}.h5",
            truth="results/truth/{split}/{shard}.h5",
        log:
            "logs/render_scenes/{split}-{shard}.log",
        benchmark:
            "benchmarks/render_scenes/{split}-{shard}.tsv"
        conda:
            "../envs/udpdiff.yaml"
        threads: 1
        params:
            settings=clip_settings,
        shell:
            """
            python -m scripts.render_scenes --split {wildcards.split} --shard {wildcards.shard} \
                --settings {params.settings:q} --clips {output.clips:q} --truth {output.truth:q} 2>&1 | tee {log:q}
            """

else:

    rule cut_videos:
        output:
            clips="results/clips/{split}/{shard}.h5",
        log:
            "logs/cut_videos/{split}-{shard}.log",
        benchmark:
            "benchmarks/cut_videos/{split}-{shard}.tsv"
        conda:
            "../envs/udpdiff.yaml"
        threads: 1
        params:
            settings=clip_settings,
        shell:
            """
            python -m scripts.cut_videos --split {wildcards.split} --shard {wildcards.shard} \
                --settings {params.settings:q} --clips {output.clips:q} 2>&1 | tee {log:q}
            """
