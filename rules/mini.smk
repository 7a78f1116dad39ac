# The mini checkpoints, trained again from nothing on scenes: hours on a CPU, and never part of `all`. Which stages there
# are stands in udpdiff/mini/stages.py. What they are good for is judged on held-out scenes and stands in the card beside
# each. Results go to results/mini_checkpoints; to use one, name its folder in the configuration.
from udpdiff.mini.stages import STAGES


rule mini_checkpoints:
    input:
        expand(
            "results/mini_checkpoints/{name}",
            name=sorted(name for name, stage in STAGES.items() if stage.shipped),
        ),
    message:
        gathered


rule train_mini:
    input:
        # The folders a stage starts from, by the option that names each.
        unpack(
            lambda wildcards: {
                option: f"results/mini_checkpoints/{stage}"
                for option, stage in STAGES[wildcards.name].inputs.items()
            }
        ),
    output:
        folder=directory("results/mini_checkpoints/{name}"),
    log:
        "logs/mini/{name}.log",
    benchmark:
        "benchmarks/mini/{name}.tsv"
    wildcard_constraints:
        name="|".join(STAGES),
    conda:
        environment
    params:
        steps=lambda wildcards: STAGES[wildcards.name].steps,
        seed=lambda wildcards: STAGES[wildcards.name].seed,
        starts=lambda wildcards, input: [
            word
            for option, folder in input.items()
            for word in (f"--{option.replace('_', '-')}", folder)
        ],
    message:
        brief
    shell:
        """
        python -m scripts.train_mini {wildcards.name:q} --out {output.folder:q} \
            --steps {params.steps:q} --seed {params.seed:q} {params.starts:q} 2>&1 | tee {log:q}
        """
