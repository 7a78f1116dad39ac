# One rule trains every run of `runs:`. Checkpoints, log and lock live in results/training/{run}, which is not declared:
# Snakemake deletes declared outputs before a start and after a failure.


rule train:
    input:
        latents=run_latents,
    output:
        run=directory("results/runs/{run}"),
    log:
        "logs/train/{run}.log",
    benchmark:
        "benchmarks/train/{run}.tsv"
    priority: 1  # see rules/common.smk
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=run_settings,
        streams=run_streams,
        state="results/training/{run}",
    shell:
        # The log's tee outlives the warning signal before a time limit, so that the trainer can save and say so.
        """
        python -m scripts.train --settings {params.settings:q} --streams {params.streams:q} \
            --state {params.state:q} --latents {input.latents:q} --output {output.run:q} 2>&1 | (
            trap '' TERM USR1
            tee {log:q}
        )
        """
