# One rule trains every run of `runs:`. Checkpoints, log and lock live in results/training/{run}, which is not declared:
# Snakemake deletes declared outputs before a start and after a failure.


rule train:
    input:
        records=fetched("model.base"),
        latents=lambda wildcards: flow.run_latents(wildcards.run),
        captions=flow.run_captions(),
        enough=ancient(flow.enough("panda70m")),
    output:
        run=directory("results/runs/{run}"),
    log:
        "logs/train/{run}.log",
    benchmark:
        "benchmarks/train/{run}.tsv"
    wildcard_constraints:
        run="|".join(flow.config.trainings()),
    priority: 1  # see rules/common.smk
    conda:
        environment
    resources:
        gpu=flow.config.gpus,
        nodes=1,
        tasks=max(2, flow.config.gpus),  # of srun, one for each GPU; SLURM's plugin wants at least 2
    params:
        job=job(workflow_jobs.train, "run"),
        content=content("model.base"),
        state="results/training/{run}",
        latents=lambda wildcards, input: bash_words(input.latents),
        captions=lambda wildcards, input: bash_words(input.captions),
    message:
        brief
    shell:
        # The log's tee outlives Ctrl-C and the warning signal before a time limit, so that the trainer can save and say so.
        """
        python -m scripts.launch --gpus {resources.gpu:q} --nodes {resources.nodes:q} --distributed \
            --resumes {params.state:q} -- \
            scripts.train --job {params.job:q} --execution "$EXECUTION" --state {params.state:q} \
            --latents {params.latents} --captions {params.captions} --output {output.run:q} 2>&1 | (
            trap '' TERM USR1 INT
            tee -a {log:q}
        )
        """


# A model that is trained already stands among the runs under its name.
rule take_model:
    input:
        records=fetched("models.{run}.checkpoint"),
    output:
        run=directory("results/runs/{run}"),
    log:
        "logs/take_model/{run}.log",
    wildcard_constraints:
        run="|".join(flow.config.models) or "none",
    conda:
        environment
    params:
        job=job(workflow_jobs.take_model, "run"),
        content=content("models.{run}.checkpoint"),
    message:
        brief
    shell:
        """
        python -m scripts.take_model --job {params.job:q} --output {output.run:q} 2>&1 | tee {log:q}
        """
