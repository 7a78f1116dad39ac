"""The graph of rules that the report draws has the edges of Snakemake's own, and its picture has no rule above its sources."""

from __future__ import annotations

from udpdiff.report import rule_graph

VARIANTS = {"encode_run_latents": "encode_latents", "segment_run_entities": "segment_entities", "estimate_run_depth": "estimate_depth"}  # fmt: skip
# Not drawn: the fetching of checkpoints, which nearly all wait for, and what the report is not made of.
LEFT_OUT = {"all", "prefetch", "check_checkpoints", "fetch_checkpoint", "plan", "measure_throughput", "measure_memory",
            "mini_checkpoints", "train_mini", "panda_dense", "export_clips", "describe_data_set", "paper_figures",
            "draw_figure", "check_clips", "show_labels"}  # fmt: skip
# A training waits for the one before it where files pass: a matter of room, not of what it reads.
TURNS = {("train", "encode_latents"), ("train", "segment_entities"), ("train", "estimate_depth")}


def edges(jobs: list[dict]) -> set[tuple[str, str]]:
    made = {path: job["rule"] for job in jobs for paths in job["output"].values() for path in paths}
    read = {
        (made[path], job["rule"]) for job in jobs for paths in job["input"].values() for path in paths if path in made
    }
    named = {tuple(VARIANTS.get(rule, rule) for rule in pair) for pair in read}
    return {pair for pair in named if not {*pair} & LEFT_OUT and len({*pair}) == 2} - TURNS


def test_edges_are_those_of_the_workflow(scenes, panda, videos):
    drawn = {(rule, reader) for rule, readers in rule_graph.READERS.items() for reader in readers}
    found = edges(scenes) | edges(panda)
    assert found | edges(videos) <= drawn
    folder = {("cut_videos", reader) for reader in rule_graph.READERS["download_clips"]}  # not asked for by `videos`
    assert drawn - found <= folder


def test_every_rule_stands_below_what_it_reads():
    again = [rule_graph.boxed(rule, "grid8/samples/multi/seg/0") for rule in rule_graph.READERS]
    graph = rule_graph.rule_graph(dict.fromkeys([*rule_graph.READERS, *again], "1 s") | {"render_report": ""})
    place = {node.rule: node.y for node in graph.nodes}
    assert len(place) == len(graph.nodes) == len(rule_graph.READERS) + 1 + 2, "labelling stands twice"
    assert all(place[edge.source] < place[edge.target] for edge in graph.edges)
    pairs = {(edge.source, edge.target) for edge in graph.edges}
    assert ("render_scenes", "render_report") not in pairs, "a longer way leads there"
    assert {("sample", "segment_entities of generated"), ("encode_latents", "train")} <= pairs
    boxes = {(node.x, node.y) for node in graph.nodes}
    assert len(boxes) == len(graph.nodes) and max(x for x, _ in boxes) + graph.node_width <= graph.width


def test_only_rules_of_the_run_are_drawn():
    graph = rule_graph.rule_graph({"train": "2 s", "encode_latents": "1 s"})
    assert [(node.rule, node.note) for node in graph.nodes] == [("encode_latents", "1 s"), ("train", "2 s")]
    assert [(edge.source, edge.target) for edge in graph.edges] == [("encode_latents", "train")]
    assert rule_graph.rule_graph({}).nodes == []
    assert rule_graph.boxed("segment_entities", "grid8/train/0") == "segment_entities"
