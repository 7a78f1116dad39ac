# What the configured scale costs before it is run, and the benchmark of the labellers that this rests on.
localrules:
    plan,


# Prints; makes no file and needs none.
rule plan:
    log:
        "logs/plan.log",
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=section(*type(settings).model_fields),
        labellers=labellers(),
        encoding=latent_settings(None),
    shell:
        """
        python -m scripts.plan --settings {params.settings:q} --labellers {params.labellers:q} \
            --encoding {params.encoding:q} --results results --benchmarks benchmarks \
            2>&1 | tee {log:q}
        """


# Its ratios hold within one run on an otherwise idle machine, so nothing else may run beside it.
rule measure_throughput:
    input:
        clips="results/clips/train/0.h5",
    output:
        throughput="results/throughput.json",
    log:
        "logs/measure_throughput.log",
    benchmark:
        "benchmarks/measure_throughput/all.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: every_core
    params:
        labellers=labellers(),
    shell:
        """
        OMP_NUM_THREADS=1 python -m scripts.measure_throughput --labellers {params.labellers:q} \
            --clips {input.clips:q} --throughput {output.throughput:q} 2>&1 | tee {log:q}
        """
