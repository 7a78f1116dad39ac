# Videos with their dense predictions for the captions of the evaluation split, the same noise for every model.


rule sample:
    input:
        records=fetched("model.base"),
        run="results/runs/{run}",
        captions=flow.caption_tables("evaluation"),
        enough=ancient(flow.enough("panda70m")),
    output:
        clips="results/samples/{run}/{task}/{shard}.clips.h5",
        predictions="results/samples/{run}/{task}/{shard}.dense.h5",
    log:
        "logs/sample/{run}-{task}-{shard}.log",
    benchmark:
        "benchmarks/sample/{run}-{task}-{shard}.tsv"
    wildcard_constraints:
        task="|".join(TASKS),
    conda:
        environment
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.sample, "run", "task", "shard"),
        content=content("model.base"),
        predictions=lambda wildcards, output: [
            f"--predictions={path}" for path in output[1:]
        ],
        # Beside the benchmark of each of the two rules.
        timing=lambda wildcards: f"benchmarks/sample{'_video' * (wildcards.task == 'video')}/"
        f"{wildcards.run}-{wildcards.task}-{wildcards.shard}.json",
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} --resumes {output:q} -- \
            scripts.sample --job {params.job:q} --execution "$EXECUTION" --run {input.run:q} \
            --captions {input.captions:q} --clips {output.clips:q} {params.predictions:q} \
            --timing {params.timing:q} 2>&1 | tee {log:q}
        """


# A model without a dense stream.
use rule sample as sample_video with:
    output:
        clips="results/samples/{run}/{task}/{shard}.clips.h5",
    log:
        "logs/sample_video/{run}-{task}-{shard}.log",
    benchmark:
        "benchmarks/sample_video/{run}-{task}-{shard}.tsv"
    wildcard_constraints:
        task="video",
    message:
        brief
