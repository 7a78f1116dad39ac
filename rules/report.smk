# Tables 1-9, ours beside the paper's, verdicts on the paper's claims, and the report.


rule fill_table:
    input:
        measured=asked(lambda wildcards: flow.table_inputs(int(wildcards.number))),
    output:
        table=report(
            "results/table{number}.csv",
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{number}"},
        ),
        digest="results/table{number}.csv.sha256",
        comparisons="results/table{number}_comparisons.json",
    log:
        "logs/fill_table/{number}.log",
    conda:
        environment
    params:
        job=job(workflow_tables.fill_table),
    message:
        brief
    shell:
        """
        python -m scripts.fill_table --number {wildcards.number:q} --job {params.job:q} --measured {input.measured:q} \
            --table {output.table:q} --digest {output.digest:q} --comparisons {output.comparisons:q} 2>&1 | tee {log:q}
        """


rule judge_claims:
    input:
        **flow.claim_inputs(),
    output:
        verdicts="results/verdicts.json",
    log:
        "logs/judge_claims.log",
    conda:
        environment
    params:
        job=job(workflow_tables.judge_claims),
    message:
        brief
    shell:
        """
        python -m scripts.judge_claims --job {params.job:q} --comparisons {input.comparisons:q} \
            --measured {input.measured:q} --verdicts {output.verdicts:q} 2>&1 | tee {log:q}
        """


rule render_report:
    input:
        measured=flow.measured_files(),
        verdicts="results/verdicts.json",
        tables=expand("results/table{number}.csv", number=flow.report_tables()),
        runs=flow.shown_runs(),
        samples=flow.shown_samples(),
        scores=flow.shown_scores(),
        clips=flow.report_clips(),
        summaries=flow.report_summaries(),
    output:
        quality="results/quality.json",
        page=report(
            "results/report/index.html",
            caption="captions/page.rst",
            category="Report",
        ),
        pages=expand(
            "results/report/{name}.html",
            name=[
                "samples",
                "tables",
                "data_set",
                "training",
                "goals",
                "provenance",
            ],
        ),
        data=directory("results/report/data"),
        media=directory("results/report/media"),
    log:
        "logs/render_report.log",
    conda:
        environment
    params:
        job=job(workflow_jobs.render_report),
    message:
        brief
    shell:
        """
        python -m scripts.render_report --job {params.job:q} --results results --benchmarks benchmarks \
            --measured {input.measured:q} --verdicts {input.verdicts:q} --summaries {input.summaries:q} \
            --quality {output.quality:q} --page {output.page:q} --default "$DEFAULT_CONFIG" 2>&1 | tee {log:q}
        """
