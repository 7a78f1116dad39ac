# The labelled data set without a training: pages to look at it; to take away, the clips as archives, one job a shard, and a
# card. Figures 3 to 5 of the paper as files. None of it is part of `all`.
from udpdiff.clip import SPLITS
from udpdiff.report.paper_figures import FIGURES, PROMPTS


localrules:
    panda_dense,
    paper_figures,


rule panda_dense:
    input:
        card="results/panda_dense/README.md",
        archives=[
            f"results/panda_dense/{split}/{shard}.tar"
            for split in SPLITS
            for shard in flow.shard_numbers(split)
        ],
    message:
        gathered


rule export_clips:
    input:
        clips="results/clips/{split}/{shard}.h5",
        entities=f"results/{flow.judge_folder('entities')}/{{split}}/{{shard}}.h5",
        depth=f"results/{flow.judge_folder('depth')}/{{split}}/{{shard}}.h5",
        captions="results/captions/{split}/{shard}.parquet",
    output:
        archive="results/panda_dense/{split}/{shard}.tar",
        record="results/panda_dense/{split}/{shard}.json",
    log:
        "logs/export_clips/{split}/{shard}.log",
    wildcard_constraints:
        split="|".join(SPLITS),
    conda:
        environment
    message:
        brief
    shell:
        """
        python -m scripts.export_clips --clips {input.clips:q} --entities {input.entities:q} --depth {input.depth:q} \
            --captions {input.captions:q} --archive {output.archive:q} --record {output.record:q} 2>&1 | tee {log:q}
        """


# The truth of rendered scenes says how good the labels are.
rule describe_data_set:
    input:
        counts=[
            f"results/panda_dense/{split}/{shard}.json"
            for split in SPLITS
            for shard in flow.shard_numbers(split)
        ],
        quality=(
            ["results/metrics/labels.json"]
            if flow.config.source.kind == "scenes"
            else []
        ),
    output:
        card=report(
            "results/panda_dense/README.md",
            caption="captions/panda_dense.rst",
            category="Data set",
        ),
        checksums="results/panda_dense/SHA256SUMS",
    log:
        "logs/describe_data_set.log",
    conda:
        environment
    params:
        job=job(workflow_tables.describe_data_set),
        quality=lambda wildcards, input: [
            f"--quality={path}" for path in input.get("quality", [])
        ],
    message:
        brief
    shell:
        """
        python -m scripts.describe_data_set --job {params.job:q} --counts {input.counts:q} {params.quality:q} \
            --card {output.card:q} --checksums {output.checksums:q} 2>&1 | tee {log:q}
        """


# The report's pages on the data set, which the report itself has beside those on models.
rule show_labels:
    input:
        measured=(
            ["results/metrics/labels.json"]
            if flow.config.source.kind == "scenes"
            else []
        ),
        clips=flow.report_clips(),
        summaries=flow.report_summaries(),
    output:
        page="results/labels/data_set.html",
        provenance="results/labels/provenance.html",
        data=directory("results/labels/data"),
        media=directory("results/labels/media"),
    log:
        "logs/show_labels.log",
    conda:
        environment
    params:
        job=job(workflow_jobs.show_labels),
    message:
        brief
    shell:
        """
        python -m scripts.show_labels --job {params.job:q} --results results --benchmarks benchmarks \
            --measured {input.measured:q} --summaries {input.summaries:q} --page {output.page:q} \
            --default "$DEFAULT_CONFIG" 2>&1 | tee {log:q}
        """


rule paper_figures:
    input:
        expand("results/figures/figure{number}.png", number=FIGURES),
    message:
        gathered


rule draw_figure:
    input:
        base="results/samples/base/video/0.clips.h5",
        clips=lambda wildcards: [
            f"results/samples/{FIGURES[int(wildcards.number)][0]}/{task}/0.clips.h5"
            for task in FIGURES[int(wildcards.number)][1]
        ],
        predictions=lambda wildcards: [
            f"results/samples/{FIGURES[int(wildcards.number)][0]}/{task}/0.dense.h5"
            for task in FIGURES[int(wildcards.number)][1]
        ],
    output:
        figure=report(
            "results/figures/figure{number}.png",
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{number}"},
        ),
        caption="results/figures/figure{number}.txt",
    log:
        "logs/draw_figure/{number}.log",
    wildcard_constraints:
        number="|".join(map(str, FIGURES)),
    conda:
        environment
    params:
        prompts=PROMPTS,
    message:
        brief
    shell:
        """
        python -m scripts.draw_figure --base {input.base:q} --clips {input.clips:q} --predictions {input.predictions:q} \
            --prompts {params.prompts:q} --figure {output.figure:q} --caption {output.caption:q} 2>&1 | tee {log:q}
        """
