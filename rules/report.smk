# Tables 1-9, ours beside the paper's, and the report.


rule fill_table:
    input:
        measured=table_inputs,
    output:
        table="results/table{number}.csv",
    log:
        "logs/fill_table/{number}.log",
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    shell:
        """
        python -m scripts.fill_table --number {wildcards.number} --metrics results/metrics \
            --table {output.table:q} 2>&1 | tee {log:q}
        """


rule render_report:
    input:
        measured=measured_quality,
        tables=expand("results/table{number}.csv", number=fillable_tables()),
        samples=[f"results/samples/{run}/{task}" for run, task in reported_tasks()],
        clips=all_clips(),
        entities=label_shards(f"entities/{settings.metrics.judge_entities}", "train"),
        depth=label_shards(f"depth/{settings.metrics.judge_depth}", "train"),
        sheet=sheet_inputs(),
        truth=truth_shards(),
    output:
        quality="results/quality.json",
        page="results/report/index.html",
        labels="results/report/labels.html",
        media=directory("results/report/media"),
    log:
        "logs/render_report.log",
    conda:
        "../envs/udpdiff.yaml"
    threads: 1
    params:
        settings=section(*type(settings).model_fields),
    shell:
        """
        python -m scripts.render_report --settings {params.settings:q} --results results --benchmarks benchmarks \
            --measured {input.measured:q} --quality {output.quality:q} --page {output.page:q} --media {output.media:q} 2>&1 | tee {log:q}
        """
