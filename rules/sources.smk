# Clips of the configured source, and for scenes their exact truth, which only measuring rules and the report may read.
from udpdiff.workflow.clips import CHECKED_CLIPS

if flow.config.source.kind == "scenes":

    rule render_scenes:
        input:
            allowed=asked(lambda wildcards: preflight.check_source(flow, on_cluster())),
        output:
            clips="results/clips/{split}/{shard}.h5",
            truth="results/truth/{split}/{shard}.h5",
            summary="results/clips/{split}/{shard}.json",
        log:
            "logs/render_scenes/{split}-{shard}.log",
        benchmark:
            "benchmarks/render_scenes/{split}-{shard}.tsv"
        wildcard_constraints:
            split="train|evaluation",
        conda:
            environment
        params:
            job=job(data_jobs.render_scenes, "split", "shard"),
        message:
            brief
        shell:
            """
            python -m scripts.render_scenes --job {params.job:q} --clips {output.clips:q} --truth {output.truth:q} \
                --summary {output.summary:q} 2>&1 | tee {log:q}
            """

elif flow.config.source.kind == "panda70m":

    rule choose_clips:
        input:
            allowed=complete,
        output:
            chosen="results/panda70m/chosen.parquet",
            rejected="results/panda70m/rejected_records.csv",
        log:
            "logs/choose_clips.log",
        benchmark:
            "benchmarks/choose_clips/all.tsv"
        conda:
            environment
        params:
            job=job(data_jobs.choose_clips),
        message:
            brief
        shell:
            """
            python -m scripts.choose_clips --job {params.job:q} --table "$SOURCE_PATH" --chosen {output.chosen:q} \
                --rejected {output.rejected:q} 2>&1 | tee {log:q}
            """

    rule download_clips:
        input:
            chosen="results/panda70m/chosen.parquet",
            checked=ancient(prefetching.CHECKED),
        output:
            clips="results/clips/{split}/{shard}.h5",
            summary="results/clips/{split}/{shard}.json",
        log:
            "logs/download_clips/{split}-{shard}.log",
        benchmark:
            "benchmarks/download_clips/{split}-{shard}.tsv"
        wildcard_constraints:
            split="train|evaluation",
        conda:
            environment
        resources:
            downloads=1,
            # A site that asked to wait is not asked again at once.
            delay_minutes=lambda wildcards, attempt: 15 * (attempt - 1),
        params:
            job=job(data_jobs.download_clips, "split", "shard"),
        message:
            brief
        shell:
            """
            python -m scripts.launch --gpus 0 --delay {resources.delay_minutes:q} --resumes {output.clips:q} -- \
                scripts.download_clips --job {params.job:q} --execution "$EXECUTION" --chosen {input.chosen:q} \
                --clips {output.clips:q} --summary {output.summary:q} 2>&1 | tee {log:q}
            """

else:

    rule cut_videos:
        input:
            allowed=complete,
        output:
            clips="results/clips/{split}/{shard}.h5",
            summary="results/clips/{split}/{shard}.json",
        log:
            "logs/cut_videos/{split}-{shard}.log",
        benchmark:
            "benchmarks/cut_videos/{split}-{shard}.tsv"
        wildcard_constraints:
            split="train|evaluation",
        conda:
            environment
        params:
            job=job(data_jobs.cut_videos, "split", "shard"),
        message:
            brief
        shell:
            """
            python -m scripts.cut_videos --job {params.job:q} --folder "$SOURCE_PATH" \
                ${{SOURCE_CAPTIONS:+--captions "$SOURCE_CAPTIONS"}} --clips {output.clips:q} --summary {output.summary:q} \
                2>&1 | tee {log:q}
            """


# Videos and links may all be rejected, and models of no clips would be found out days later. Scenes are always enough.
if flow.config.source.kind != "scenes":

    localrules:
        check_clips,

    rule check_clips:
        input:
            summaries=flow.clip_summaries(),
        output:
            checked=CHECKED_CLIPS,
        log:
            "logs/check_clips.log",
        conda:
            environment
        message:
            brief
        shell:
            """
            python -m scripts.check_clips --summaries {input.summaries:q} --checked {output.checked:q} 2>&1 | tee {log:q}
            """
