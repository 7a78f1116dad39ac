# UDPDiff from clips to report. What each stage does stands in rules/, what it is told in config.yaml.
from snakemake.utils import min_version

min_version("9.20")


include: "rules/common.smk"
include: "rules/checkpoints.smk"
include: "rules/sources.smk"
include: "rules/labelling.smk"
include: "rules/encoding.smk"
include: "rules/training.smk"
include: "rules/sampling.smk"
include: "rules/metrics.smk"
include: "rules/report.smk"
include: "rules/plan.smk"
include: "rules/mini.smk"
include: "rules/panda_dense.smk"


rule all:
    default_target: True
    input:
        report="results/report/index.html",
        quality="results/quality.json",
        verdicts="results/verdicts.json",
        tables=expand("results/table{number}.csv", number=flow.report_tables()),
    message:
        gathered


onstart:
    Invocations("results").started()
    announce_time()
    announce_end()


onsuccess:
    Invocations("results").ended()
    announce_pages()


onerror:
    Invocations("results").ended()
    announce_way_on(log)
