# The mini checkpoints, trained again from nothing on scenes: hours on a CPU, and never part of `all`. What they are good
# for is judged on held-out scenes and stands in the card beside each. Results go to results/mini_checkpoints; to use one,
# name its folder in the configuration.

MINI_STEPS = {
    "vae_unrefined": 2271,
    "vae": 626,
    "cogvideox_first": 9000,
    "cogvideox": 13338,
    "segmenter": 6000,
    "cropformer": 4380,
    "sam2_tracking": 3000,
    "sam2": 9990,
    "depth_anything_first": 6000,
    "depth_anything": 4041,
    "depthcrafter_vae_unrefined": 1200,
    "depthcrafter_vae": 1855,
    "depthcrafter_first": 11780,
    "depthcrafter": 15626,
    "subject_encoder": 1500,
    "image_encoder": 1000,
    "video_encoder": 5000,
}


STAGES_ON_THE_WAY = {
    "vae_unrefined",
    "cogvideox_first",
    "segmenter",
    "sam2_tracking",
    "depth_anything_first",
    "depthcrafter_vae_unrefined",
    "depthcrafter_vae",
    "depthcrafter_first",
}


rule mini_checkpoints:
    input:
        expand(
            "results/mini_checkpoints/{name}",
            name=sorted(set(MINI_STEPS) - STAGES_ON_THE_WAY),
        ),


rule train_vae:
    output:
        folder=directory("results/mini_checkpoints/vae_unrefined"),
    log:
        "logs/mini/vae_unrefined.log",
    benchmark:
        "benchmarks/mini/vae_unrefined.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["vae_unrefined"],
    shell:
        """
        python -m udpdiff.checkpoints.train_vae --out {output.folder:q} --steps {params.steps} --seed 0 \
            2>&1 | tee {log:q}
        """


# The decoder alone, on whole pictures: latents stay as they are.
rule refine_vae:
    input:
        vae="results/mini_checkpoints/vae_unrefined",
    output:
        folder=directory("results/mini_checkpoints/vae"),
    log:
        "logs/mini/vae.log",
    benchmark:
        "benchmarks/mini/vae.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["vae"],
    shell:
        """
        python -m udpdiff.checkpoints.train_vae --refine {input.vae:q} --out {output.folder:q} \
            --steps {params.steps} --seed 1 2>&1 | tee {log:q}
        """


rule train_base:
    input:
        vae="results/mini_checkpoints/vae",
    output:
        folder=directory("results/mini_checkpoints/cogvideox_first"),
    log:
        "logs/mini/cogvideox_first.log",
    benchmark:
        "benchmarks/mini/cogvideox_first.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["cogvideox_first"],
    shell:
        """
        python -m udpdiff.checkpoints.train_base --vae {input.vae:q} --out {output.folder:q} --steps {params.steps} --seed 0 \
            2>&1 | tee {log:q}
        """


# On scenes as the default run's.
rule train_base_further:
    input:
        vae="results/mini_checkpoints/vae",
        first="results/mini_checkpoints/cogvideox_first",
    output:
        folder=directory("results/mini_checkpoints/cogvideox"),
    log:
        "logs/mini/cogvideox.log",
    benchmark:
        "benchmarks/mini/cogvideox.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["cogvideox"],
    shell:
        """
        python -m udpdiff.checkpoints.train_base --resume {input.first:q} --vae {input.vae:q} \
            --out {output.folder:q} --steps {params.steps} --seed 1 \
            2>&1 | tee {log:q}
        """


rule train_labeller:
    output:
        folder=directory("results/mini_checkpoints/{name}"),
    log:
        "logs/mini/{name}.log",
    benchmark:
        "benchmarks/mini/{name}.tsv"
    wildcard_constraints:
        name="segmenter|sam2_tracking|depth_anything_first",
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        trainer=lambda wildcards: wildcards.name.partition("_")[0],
        steps=lambda wildcards: MINI_STEPS[wildcards.name],
    shell:
        """
        python -m udpdiff.checkpoints.train_{params.trainer} --out {output.folder:q} \
            --steps {params.steps} --seed 0 2>&1 | tee {log:q}
        """


# Tracking goes on, and points are learnt besides.
rule train_points:
    input:
        tracking="results/mini_checkpoints/sam2_tracking",
    output:
        folder=directory("results/mini_checkpoints/sam2"),
    log:
        "logs/mini/sam2.log",
    benchmark:
        "benchmarks/mini/sam2.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["sam2"],
    shell:
        """
        python -m udpdiff.checkpoints.train_sam2 --resume {input.tracking:q} --points --out {output.folder:q} \
            --steps {params.steps} --seed 1 2>&1 | tee {log:q}
        """


# From the segmenter's weights, a plain Mask2Former; CropFormer's folder holds one too, so the segmenter's is not shipped.
rule train_cropformer:
    input:
        segmenter="results/mini_checkpoints/segmenter",
    output:
        folder=directory("results/mini_checkpoints/cropformer"),
    log:
        "logs/mini/cropformer.log",
    benchmark:
        "benchmarks/mini/cropformer.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["cropformer"],
    shell:
        """
        python -m udpdiff.checkpoints.train_cropformer --start-from {input.segmenter:q} --out {output.folder:q} \
            --steps {params.steps} --seed 0 2>&1 | tee {log:q}
        """


# On scenes as the default run's.
rule train_depth_further:
    input:
        first="results/mini_checkpoints/depth_anything_first",
    output:
        folder=directory("results/mini_checkpoints/depth_anything"),
    log:
        "logs/mini/depth_anything.log",
    benchmark:
        "benchmarks/mini/depth_anything.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["depth_anything"],
    shell:
        """
        python -m udpdiff.checkpoints.train_depth --start-from {input.first:q} \
            --out {output.folder:q} --steps {params.steps} --seed 1 2>&1 | tee {log:q}
        """


rule train_depthcrafter_vae:
    output:
        folder=directory("results/mini_checkpoints/depthcrafter_vae_unrefined"),
    log:
        "logs/mini/depthcrafter_vae_unrefined.log",
    benchmark:
        "benchmarks/mini/depthcrafter_vae_unrefined.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["depthcrafter_vae_unrefined"],
    shell:
        """
        python -m udpdiff.checkpoints.train_depthcrafter_vae --out {output.folder:q} --steps {params.steps} --seed 0 \
            2>&1 | tee {log:q}
        """


# The decoder alone: the U-Net's latents stay as they are.
rule refine_depthcrafter_vae:
    input:
        vae="results/mini_checkpoints/depthcrafter_vae_unrefined",
    output:
        folder=directory("results/mini_checkpoints/depthcrafter_vae"),
    log:
        "logs/mini/depthcrafter_vae.log",
    benchmark:
        "benchmarks/mini/depthcrafter_vae.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["depthcrafter_vae"],
    shell:
        """
        python -m udpdiff.checkpoints.train_depthcrafter_vae --refine {input.vae:q} \
            --out {output.folder:q} --steps {params.steps} --seed 2 \
            2>&1 | tee {log:q}
        """


rule train_depthcrafter:
    input:
        vae="results/mini_checkpoints/depthcrafter_vae_unrefined",
    output:
        folder=directory("results/mini_checkpoints/depthcrafter_first"),
    log:
        "logs/mini/depthcrafter_first.log",
    benchmark:
        "benchmarks/mini/depthcrafter_first.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["depthcrafter_first"],
    shell:
        """
        python -m udpdiff.checkpoints.train_depthcrafter --vae {input.vae:q} --out {output.folder:q} \
            --steps {params.steps} --seed 0 \
            2>&1 | tee {log:q}
        """


# On scenes as the default run's.
rule train_depthcrafter_further:
    input:
        vae="results/mini_checkpoints/depthcrafter_vae",
        first="results/mini_checkpoints/depthcrafter_first",
    output:
        folder=directory("results/mini_checkpoints/depthcrafter"),
    log:
        "logs/mini/depthcrafter.log",
    benchmark:
        "benchmarks/mini/depthcrafter.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["depthcrafter"],
    shell:
        """
        python -m udpdiff.checkpoints.train_depthcrafter --vae {input.vae:q} --start-from {input.first:q} \
            --out {output.folder:q} --steps {params.steps} --seed 1 \
            2>&1 | tee {log:q}
        """


rule train_subject_encoder:
    output:
        folder=directory("results/mini_checkpoints/subject_encoder"),
    log:
        "logs/mini/subject_encoder.log",
    benchmark:
        "benchmarks/mini/subject_encoder.tsv"
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=MINI_STEPS["subject_encoder"],
    shell:
        """
        python -m udpdiff.checkpoints.train_features --which subject_encoder --out {output.folder:q} \
            --steps {params.steps} --seed 0 2>&1 | tee {log:q}
        """


# Both start from the subject encoder.
rule train_features:
    input:
        subject="results/mini_checkpoints/subject_encoder",
    output:
        folder=directory("results/mini_checkpoints/{name}"),
    log:
        "logs/mini/{name}.log",
    benchmark:
        "benchmarks/mini/{name}.tsv"
    wildcard_constraints:
        name="image_encoder|video_encoder",
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        steps=lambda wildcards: MINI_STEPS[wildcards.name],
    shell:
        """
        python -m udpdiff.checkpoints.train_features --which {wildcards.name} --subject {input.subject:q} \
            --out {output.folder:q} --steps {params.steps} --seed 0 2>&1 | tee {log:q}
        """
