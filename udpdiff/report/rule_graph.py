"""The rules of the workflow as a drawn graph: which rule's files which other rule reads, of those that a run has.

The edges stand here, and a test compares them with those of Snakemake's own graph: building that graph for the page would
cost a second parse of the whole workflow. Knows nothing of HTML; a template draws what `rule_graph` places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from udpdiff.report.site import PageData

_OF_CLIPS = (
    "segment_entities",
    "estimate_depth",
    "write_captions",
    "encode_latents",
    "extract_features",
    "render_report",
)
_OF_LABELS = ("encode_latents", "compare_samples", "codec_quality", "render_report")
# Rule -> the rules that read its files, over all sources of clips. Variants that wait for their turn (`encode_run_latents`)
# count as their rule; the fetching of checkpoints, which nearly all rules wait for, is left out.
READERS = {
    "choose_clips": ("download_clips", "render_report"),
    "render_scenes": (*_OF_CLIPS, "label_quality"),
    "cut_videos": _OF_CLIPS,
    "download_clips": _OF_CLIPS,
    "segment_entities": (*_OF_LABELS, "label_quality"),
    "estimate_depth": (*_OF_LABELS, "label_quality", "mean_labels"),
    "write_captions": ("encode_text", "train", "sample", "sample_video", "label_quality", "render_report"),
    "encode_latents": ("train",),
    "encode_text": ("train",),
    "train": ("sample", "sample_video", "compare_with_base", "measure_runtime", "render_report"),
    "take_model": ("sample", "render_report"),
    "sample": ("segment_entities", "estimate_depth", "compare_samples", "extract_features", "render_report"),
    "sample_video": ("extract_features", "render_report"),
    "mean_labels": ("compare_samples",),
    "compare_samples": ("evaluate_samples", "render_report"),
    "extract_features": ("evaluate_samples", "render_report"),
    "evaluate_samples": ("compare_with_base", "fill_table", "judge_claims", "render_report"),
    "measure_runtime": ("fill_table", "render_report"),
    "compare_with_base": ("render_report",),
    "label_quality": ("render_report",),
    "codec_quality": ("render_report",),
    "fill_table": ("judge_claims", "render_report"),
    "judge_claims": ("render_report",),
}
# Their jobs label the data set before the training and generated videos after it: as one box they would be a circle.
GENERATED = " of generated"
_TWICE = ("segment_entities", "estimate_depth")
_GENERATING = ("sample", "sample_video")
_NODE_WIDTH, _NODE_HEIGHT, _COLUMN_GAP, _ROW_GAP = 216, 42, 18, 38


class RuleNode(PageData):
    """A rule in a box whose upper left corner is (x, y), in pixels."""

    rule: str
    x: float
    y: float
    note: str


class RuleEdge(PageData):
    """From a rule to one that reads its files: a path in the syntax of SVG."""

    source: str
    target: str
    path: str


class RuleGraph(PageData):
    width: float
    height: float
    node_width: float
    node_height: float
    nodes: list[RuleNode]
    edges: list[RuleEdge]


def boxed(rule: str, job: str) -> str:
    """Return the name of the box that a job of a rule belongs to."""
    return rule + GENERATED if rule in _TWICE and "/samples/" in f"/{job}/" else rule


def rule_graph(notes: Mapping[str, str]) -> RuleGraph:
    """Place rules in rows, each below all that it reads from, and draw the edges that say something new.

    An edge is left out where a longer way leads from its source to its target.

    Args:
        notes: Rule of this run -> what its box says below its name. The labelling of generated videos is a box of its
            own, `boxed` says whose.
    """
    edges = [edge for edge in _edges() if {*edge} <= notes.keys()]
    rows = _rows(notes, edges)
    widest = max((len(row) for row in rows), default=1)
    width = widest * _NODE_WIDTH + (widest - 1) * _COLUMN_GAP
    places = {}
    for index, row in enumerate(rows):
        indent = (width - len(row) * _NODE_WIDTH - (len(row) - 1) * _COLUMN_GAP) / 2
        for column, rule in enumerate(row):
            places[rule] = (indent + column * (_NODE_WIDTH + _COLUMN_GAP), index * (_NODE_HEIGHT + _ROW_GAP))
    return RuleGraph(
        width=width,
        height=len(rows) * (_NODE_HEIGHT + _ROW_GAP) - _ROW_GAP,
        node_width=_NODE_WIDTH,
        node_height=_NODE_HEIGHT,
        nodes=[RuleNode(rule=rule, x=x, y=y, note=notes[rule]) for rule, (x, y) in places.items()],
        edges=[
            RuleEdge(source=source, target=target, path=_curve(places[source], places[target]))
            for source, target in _needed(edges)
        ],
    )


def _edges() -> Iterable[tuple[str, str]]:
    """(rule, reader) pairs without a circle."""
    for source, readers in READERS.items():
        for target in readers:
            yield source, target + GENERATED * (target in _TWICE and source in _GENERATING)
    for rule in _TWICE:
        yield rule + GENERATED, "compare_samples"


def _rows(rules: Iterable[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """Rules as low as what reads them allows, each row in the order of the middle of what it reads from."""
    sources: dict[str, list[str]] = {rule: [] for rule in rules}
    readers: dict[str, list[str]] = {rule: [] for rule in sources}
    for source, target in edges:
        sources[target].append(source)
        readers[source].append(target)
    height: dict[str, int] = {}

    def height_of(rule: str) -> int:
        if rule not in height:
            height[rule] = 1 + max((height_of(each) for each in readers[rule]), default=-1)
        return height[rule]

    rows: list[list[str]] = [[] for _ in range(1 + max(map(height_of, sources), default=-1))]
    for rule in sources:
        rows[-1 - height_of(rule)].append(rule)
    place: dict[str, float] = {}
    for row in rows:
        middle = {rule: sum(place[each] for each in sources[rule]) / max(1, len(sources[rule])) for rule in row}
        row.sort(key=lambda rule: middle[rule])
        place |= {rule: (index + 1) / (len(row) + 1) for index, rule in enumerate(row)}
    return rows


def _needed(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges whose target no longer way reaches from their source."""
    readers: dict[str, set[str]] = {}
    for source, target in edges:
        readers.setdefault(source, set()).add(target)

    def reaches(rule: str, target: str) -> bool:
        own = readers.get(rule, set())
        return target in own or any(reaches(each, target) for each in own)

    return [(a, b) for a, b in edges if not any(reaches(other, b) for other in readers[a] - {b})]


def _curve(source: tuple[float, float], target: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = source, target
    x0, x1, y0 = x0 + _NODE_WIDTH / 2, x1 + _NODE_WIDTH / 2, y0 + _NODE_HEIGHT
    middle = (y0 + y1) / 2
    return f"M{x0:g} {y0:g}C{x0:g} {middle:g} {x1:g} {middle:g} {x1:g} {y1:g}"
