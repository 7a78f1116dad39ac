# Clips of the configured source, and for scenes their exact truth, which only measuring rules and the report may read.

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

elif settings.source.kind == "panda70m":

    rule choose_clips:
        input:
            table=settings.source.path,
        output:
            chosen="results/panda70m/chosen.parquet",
            rejected="results/panda70m/rejected_records.csv",
        log:
            "logs/choose_clips.log",
        benchmark:
            "benchmarks/choose_clips/all.tsv"
        conda:
            "../envs/udpdiff.yaml"
        threads: 1
        params:
            settings=panda_settings("seed", "clips"),
        shell:
            """
            python -m scripts.choose_clips --settings {params.settings:q} --table {input.table:q} \
                --chosen {output.chosen:q} --rejected {output.rejected:q} 2>&1 | tee {log:q}
            """

    rule download_clips:
        input:
            chosen="results/panda70m/chosen.parquet",
        output:
            clips="results/clips/{split}/{shard}.h5",
        log:
            "logs/download_clips/{split}-{shard}.log",
        benchmark:
            "benchmarks/download_clips/{split}-{shard}.tsv"
        conda:
            "../envs/udpdiff.yaml"
        threads: 1
        resources:
            downloads=1,
        params:
            settings=panda_settings("seed", "source", "clips", "filters"),
        shell:
            """
            python -m scripts.download_clips --split {wildcards.split} --shard {wildcards.shard} \
                --settings {params.settings:q} --fetching {fetching:q} --chosen {input.chosen:q} \
                --clips {output.clips:q} 2>&1 | tee {log:q}
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
