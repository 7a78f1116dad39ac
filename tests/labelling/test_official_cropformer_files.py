"""What an official CropFormer file says of itself is read from it: heads, widths, classes, statistics of pixels."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from udpdiff.labelling import cropformer_checkpoint
from udpdiff.labelling.cropformer import CropFormer
from udpdiff.labelling.cropformer_model import CropFormerForEntitySegmentation


def official_name(name: str) -> str:
    """Our name of a weight as the official files have it: the converter's own table, read backwards."""
    for pattern, target in cropformer_checkpoint._NAMES:
        if target is None:
            continue
        target, pattern = target.replace("{q,k,v}", "q"), pattern.replace(r"\.", ".")
        groups = re.findall(r"\(.*?\)", pattern)
        numbers = [int(number) for number in re.findall(r"\\(\d)", target)]
        ours = re.sub(r"\\\\(\d)", lambda found, groups=groups: groups[int(found[1]) - 1], re.escape(target))
        if match := re.fullmatch(ours, name):
            texts = dict(zip(numbers, match.groups(), strict=True))
            for number, group in enumerate(groups, 1):
                pattern = pattern.replace(group, texts.get(number, "query_feat"), 1)
            return pattern
    raise KeyError(name)


def official_weights(model) -> dict[str, torch.Tensor]:
    """A model's weights as an official file has them: queries, keys and values stacked."""
    weights = {}
    for name, value in model.state_dict().items():
        if name in cropformer_checkpoint._UNREAD or re.search(r"\.[kv]_proj\.", name):
            continue
        if ".q_proj." in name:
            value = torch.cat([model.state_dict()[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
        weights[official_name(name)] = value
    return weights


def build(heads: int = 4, **changes) -> CropFormerForEntitySegmentation:
    from transformers import Mask2FormerConfig, SwinConfig

    torch.manual_seed(0)
    backbone = {"embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window_size": 5, "mlp_ratio": 3.0}
    backbone |= {"out_features": [f"stage{stage}" for stage in (1, 2, 3, 4)], "drop_path_rate": 0.0}
    backbone |= {name: changes.pop(name) for name in list(changes) if name in backbone}
    sizes = {"feature_size": 32, "mask_feature_size": 16, "hidden_dim": 32, "encoder_layers": 2, "decoder_layers": 3}
    sizes |= {"encoder_feedforward_dim": 24, "dim_feedforward": 40, "num_queries": 7, "num_labels": 2}
    sizes |= {"fusion_layers": 1, "fusion_feedforward_dim": 40, "dropout": 0.0} | changes
    config = Mask2FormerConfig(backbone_config=SwinConfig(**backbone), num_attention_heads=heads, **sizes)
    return CropFormerForEntitySegmentation(config).eval()


@pytest.mark.parametrize("heads", [2, 4, 8])
def test_the_number_of_heads_is_read_from_the_file(heads):
    model = build(heads)
    converted = cropformer_checkpoint.convert(official_weights(model))
    assert converted.config.num_attention_heads == heads
    views = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = model.decode_views(views), converted.decode_views(views)
    torch.testing.assert_close(found.class_logits, expected.class_logits)
    torch.testing.assert_close(found.mask_logits, expected.mask_logits)


@pytest.mark.parametrize(
    "change",
    [
        {"num_labels": 5},
        {"num_queries": 11},
        {"encoder_layers": 1, "decoder_layers": 4},
        {"depths": [2, 1, 1, 3]},
        {"embed_dim": 16, "num_heads": [2, 2, 4, 8]},
        {"window_size": 3},
        {"mlp_ratio": 2.0},
    ],
)
def test_so_are_all_other_sizes(change):
    model = build(**change)
    converted = cropformer_checkpoint.convert(official_weights(model))
    views = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = model.decode_views(views), converted.decode_views(views)
    torch.testing.assert_close(found.class_logits, expected.class_logits)


def test_heads_that_make_no_sense_are_refused():
    weights = official_weights(build())
    name = "sem_seg_head.pixel_decoder.transformer.encoder.layers.0.self_attn.attention_weights.weight"
    for rows in (47, 5 * 12, 6):
        with pytest.raises(
            ValueError, match=rf"Got {rows} attention weights over 3 scales.*Expected a whole EntitySeg"
        ):
            cropformer_checkpoint.convert(weights | {name: torch.zeros(rows, 32)})


@pytest.mark.parametrize("inside", [False, True])
def test_the_command_converts_a_file(tmp_path, monkeypatch, capsys, inside):
    weights = official_weights(build())
    torch.save({"model": weights, "iteration": 1} if inside else weights, tmp_path / "FILE.pth")
    monkeypatch.setattr("sys.argv", ["cropformer_checkpoint", str(tmp_path / "FILE.pth"), str(tmp_path / "FOLDER")])
    cropformer_checkpoint.main()
    assert f"{tmp_path / 'FOLDER'}: ready for labels.entities.*.segmenter" in capsys.readouterr().out
    CropFormer.from_pretrained(tmp_path / "FOLDER", device="cpu")


def test_the_files_own_statistics_of_pixels_are_kept(tmp_path):
    weights = official_weights(build())
    cropformer_checkpoint.save(weights, tmp_path / "silent")
    assert CropFormer.from_pretrained(tmp_path / "silent", device="cpu").preparation.mean == (0.485, 0.456, 0.406)
    weights |= {
        "pixel_mean": torch.tensor([127.5, 51.0, 25.5])[:, None, None],
        "pixel_std": torch.full((3, 1, 1), 127.5),
    }
    cropformer_checkpoint.save(weights, tmp_path / "told")
    preparation = CropFormer.from_pretrained(tmp_path / "told", device="cpu").preparation
    np.testing.assert_allclose([preparation.mean, preparation.std], [(0.5, 0.2, 0.1), (0.5, 0.5, 0.5)])
