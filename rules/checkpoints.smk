# Checkpoints of the hub, fetched where there is a network before any job needs them: results/checkpoints holds a record of
# each, with its commit, which stays until the record is deleted. `mini:` names and folders need none of this.
localrules:
    check_checkpoints,
    fetch_checkpoint,
    prefetch,


rule prefetch:
    input:
        prefetching.records(hub_checkpoints),
    message:
        gathered


# All faults at once, before anything is fetched or any clip downloaded.
rule check_checkpoints:
    output:
        checked=prefetching.CHECKED,
    log:
        "logs/check_checkpoints.log",
    conda:
        environment
    params:
        job=job(data_jobs.check_checkpoints),
    message:
        brief
    shell:
        """
        HF_HUB_OFFLINE=$HUB_OFFLINE_ASKED python -m scripts.check_checkpoints --job {params.job:q} \
            --checked {output.checked:q} 2>&1 | tee {log:q}
        """


# Another checkpoint is no reason to fetch the rest again.
rule fetch_checkpoint:
    input:
        checked=ancient(prefetching.CHECKED),
    output:
        record="results/checkpoints/{checkpoint}.json",
    log:
        "logs/fetch_checkpoint/{checkpoint}.log",
    wildcard_constraints:
        checkpoint="[^/]+--[^/]+",
    conda:
        environment
    params:
        job=job(data_jobs.fetch_checkpoint, "checkpoint"),
    message:
        brief
    shell:
        """
        HF_HUB_OFFLINE=$HUB_OFFLINE_ASKED python -m scripts.fetch_checkpoint --job {params.job:q} --record {output.record:q} \
            2>&1 | tee {log:q}
        """
