"""What the command of every rule hands to which option of its script, as bash takes it apart."""

from __future__ import annotations

import re
import subprocess

from rule_graphs import ROOT, one

from udpdiff import jobs
from udpdiff.mini.stages import STAGES

WAITED_FOR = {"records", "before", "allowed", "checked", "enough"}  # inputs that no script opens
# Found by the script under the results folder that it is told, and what lies beside the first page.
UNNAMED = {
    "render_report": {"tables", "runs", "samples", "scores", "clips", "pages", "data", "media"},
    "show_labels": {"clips", "provenance", "data", "media"},
}
# Of train, what outlives a failure stands in `params`.
OPTION_OF = {"train": {"run": "output"}, "take_model": {"run": "output"}, "train_mini": {"folder": "out"}}
# Options that are no file of the rule, and what each is handed.
FURTHER = {
    "execution": lambda job: ["the execution"],
    "job": lambda job: [job["params"]["job"]],
    "config": lambda job: [job["params"]["config"]],
    "state": lambda job: [job["params"]["state"]],
    "stream": lambda job: [job["wildcards"]["stream"]],
    "number": lambda job: [job["wildcards"]["number"]],
    "results": lambda job: ["results"],
    "prompts": lambda job: ["3"],
    "benchmarks": lambda job: ["benchmarks"],
    "default": lambda job: ["config.yaml"],
    "folder": lambda job: ["a source"],
    "table": lambda job: ["a source"],
    "captions": lambda job: ["its captions"],
    "steps": lambda job: [str(STAGES[job["wildcards"]["name"]].steps)],
    "seed": lambda job: [str(STAGES[job["wildcards"]["name"]].seed)],
}
SCRIPT_OF = {
    "sample_video": "sample",
    "segment_run_entities": "segment_entities",
    "estimate_run_depth": "estimate_depth",
    "encode_run_latents": "encode_latents",
}
# Launched scripts that write one record at their end.
BEGIN_ANEW = {"codec_quality", "measure_memory", "measure_runtime", "measure_throughput"}
BASH = """
python() {{ printf '%s\\0' "$@"; }}
tee() {{ cat; }}
DEFAULT_CONFIG='config.yaml' EXECUTION='the execution' SOURCE_PATH='a source' SOURCE_CAPTIONS='its captions' HUB_OFFLINE_ASKED=0
{command}
"""


def options(words: list[str]) -> dict[str, list[str]]:
    """Option -> its words; "" -> those before any."""
    found: dict[str, list[str]] = {"": []}
    for word in words:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", "")
        if name:
            option = name.removeprefix("--").replace("-", "_")
            assert option not in found, f"--{option} twice"
            found[option] = [value] if equals else []
        else:
            found[list(found)[-1]].append(word)
    return found


def called(job: dict) -> tuple[dict, str, dict]:
    """Options of the launcher, the script, and its options: of a job's command, as bash hands them over."""
    done = subprocess.run(["bash", "-euc", BASH.format(command=job["command"])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split("\0")[1:-1]  # after -m
    launch = words[1 : words.index("--")] if words[0] == "scripts.launch" else []
    script, *rest = words[len(launch) + 2 :] if launch else words
    return options(launch), script.removeprefix("scripts."), options(rest)


def some_jobs(every_graph: list[dict]) -> list[dict]:
    """Of every rule with a command the first and the last job."""
    of_rule: dict[str, list[dict]] = {}
    for job in every_graph:
        if job["command"]:
            of_rule.setdefault(job["rule"], []).append(job)
    return [job for found in of_rule.values() for job in (found[0], found[-1])]


def test_every_rule_there_is_has_a_job_here(every_graph):
    files = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    written = [re.findall(r"^ *(?:use rule \w+ as|rule) (\w+)", path.read_text(), re.M) for path in files]
    assert {name for names in written for name in names} == {job["rule"] for job in every_graph}
    without = {"all", "mini_checkpoints", "prefetch", "panda_dense", "paper_figures"}
    assert {job["rule"] for job in every_graph if not job["command"]} == without


def test_every_rule_says_one_line_as_it_starts():
    """Without a message Snakemake names each of its inputs."""
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        for rule in re.split(r"^ *(?=rule \w+:)", path.read_text(), flags=re.M)[1:]:
            assert re.search(r"^ +message:\n +(brief|gathered)$", rule, re.M), rule.partition("\n")[0]


def test_every_command_hands_each_file_to_the_option_of_its_name(every_graph):
    for job in some_jobs(every_graph):
        launch, script, found = called(job)
        assert script == SCRIPT_OF.get(job["rule"], job["rule"])
        inputs = {name: paths for name, paths in job["input"].items() if name not in WAITED_FOR | {""}}
        outputs = {name: paths for name, paths in job["output"].items() if name}
        files = {
            OPTION_OF.get(script, {}).get(name, name): paths
            for name, paths in (inputs | outputs).items()
            if name not in UNNAMED.get(script, set())
        }
        absent = {name for name, paths in files.items() if not paths and name not in found}
        timing = found.pop("timing", None)
        further = {name: FURTHER[name](job) for name in found if name in FURTHER and name not in files}
        name = {"": [job["wildcards"]["name"]]} if script == "train_mini" else {"": []}
        assert found == name | files | further and not absent, job["rule"]
        if timing:
            assert timing == [job["benchmark"].removesuffix("tsv") + "json"]
        if "resumes" in launch:
            assert launch["resumes"] == [*outputs.get("clips", []), *outputs.get("predictions", [])] or launch[
                "resumes"
            ] in (
                *outputs.values(),
                [job["params"].get("state")],
            )


def test_every_launched_job_that_resumes_says_where(every_graph):
    """A stop, which a cluster's time limit is, then spends no retry."""
    for job in some_jobs(every_graph):
        launch, script, _ = called(job)
        if "gpus" in launch:
            assert ("resumes" in launch) == (script not in BEGIN_ANEW), job["rule"]


def test_every_job_is_one_that_its_script_takes(every_graph):
    for job in every_graph:
        if "job" in job["params"]:
            words = [word.capitalize() for word in SCRIPT_OF.get(job["rule"], job["rule"]).split("_")]
            getattr(jobs, "".join(words)).parse(job["params"]["job"])
        if job["command"]:
            assert not re.search(r"\{(params|input|output|wildcards|log|resources)", job["command"])


def test_a_mini_checkpoint_is_trained_from_the_folders_its_stage_names(scenes):
    *_, found = called(one(scenes, "train_mini", name="depthcrafter"))
    assert (found["start_from"], found["vae"], found["seed"]) == (
        ["results/mini_checkpoints/depthcrafter_first"],
        ["results/mini_checkpoints/depthcrafter_vae"],
        ["1"],
    )
