# What the configured scale costs before it is run, and the benchmark of the labellers that this rests on.
localrules:
    plan,


# Prints; makes no file and needs none.
rule plan:
    log:
        "logs/plan.log",
    conda:
        environment
    params:
        config=lambda wildcards: flow.config.model_dump_json(),
    message:
        brief
    shell:
        """
        python -m scripts.plan --config {params.config:q} --results results --benchmarks benchmarks 2>&1 | tee {log:q}
        """


# Its ratios hold within one run on an otherwise idle machine, so nothing else may run beside it.
rule measure_throughput:
    input:
        records=fetched("labels.tracker.*", "labels.entities.*", "labels.depth.*"),
        clips="results/clips/train/0.h5",
    output:
        throughput="results/throughput.json",
    log:
        "logs/measure_throughput.log",
    benchmark:
        "benchmarks/measure_throughput/all.tsv"
    conda:
        environment
    threads: every_core
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.measure_throughput),
        content=content("labels.tracker.*", "labels.entities.*", "labels.depth.*"),
    message:
        brief
    shell:
        """
        OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python -m scripts.launch --gpus {resources.gpu:q} -- \
            scripts.measure_throughput --job {params.job:q} \
            --execution "$EXECUTION" --clips {input.clips:q} --throughput {output.throughput:q} 2>&1 | tee {log:q}
        """


# Steps of the configured training on random latents, batch size by batch size; the plan uses it.
rule measure_memory:
    input:
        records=fetched("model.base"),
    output:
        memory="results/memory.json",
    log:
        "logs/measure_memory.log",
    benchmark:
        "benchmarks/measure_memory/all.tsv"
    conda:
        environment
    threads: every_core
    resources:
        gpu=1,
    params:
        job=job(workflow_jobs.measure_memory),
        content=content("model.base"),
    message:
        brief
    shell:
        """
        python -m scripts.launch --gpus {resources.gpu:q} -- scripts.measure_memory --job {params.job:q} \
            --execution "$EXECUTION" --memory {output.memory:q} 2>&1 | tee {log:q}
        """
