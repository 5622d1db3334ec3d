"""The optional encoder: the real loading code, on the real runtime, with a tiny model made here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from nlu import encoder
from nlu.embedded import ROOT, Place, load
from tests.nlu.test_evaluation import TRAIN, write

DIMENSIONS = 16
OLDEST = 10
"""The version of the file's format: every runtime the extra allows reads it."""


def model(place: Path, *, pooled: bool = False) -> Path:
    """Writes an embedding of single characters, as sentence-embedding models are published for ONNX."""
    letters = sorted({letter for texts in TRAIN.values() for text in texts for letter in text})
    vocabulary = {"[UNK]": 0} | {letter: n for n, letter in enumerate(letters, 1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    place.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(place / "tokenizer.json"))
    table = np.random.default_rng(1).normal(size=(len(vocabulary), DIMENSIONS)).astype(np.float32)
    steps = [helper.make_node("Gather", ["table", "input_ids"], ["states"])]
    if pooled:
        steps.append(helper.make_node("ReduceMax", ["states"], ["sentence_embedding"], axes=[1], keepdims=0))
    names = ["input_ids"] if pooled else ["input_ids", "attention_mask"]
    graph = helper.make_graph(
        steps,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in names],
        [helper.make_tensor_value_info(steps[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "table")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=OLDEST)
    (place / "onnx").mkdir(exist_ok=True)
    onnx.save(made, place / "onnx" / "model.onnx")
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("tiny"))


def settle(place: Path, pooling: dict[str, bool], *kinds: str) -> None:
    """Writes beside the model what the library it was made with would have."""
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (place / "modules.json").write_text(
        json.dumps([{"type": f"sentence_transformers.models.{kind}"} for kind in kinds])
    )


def test_rows_are_of_unit_length_whatever_stands_beside_them(folder: Path) -> None:
    encode = encoder.load(str(folder))
    rows = encode(["退款", "hello there, is anybody in", "退款", ""])
    assert rows.shape == (4, DIMENSIONS)
    assert np.linalg.norm(rows[:3], axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert rows[0] == pytest.approx(rows[2])
    assert encode(["退款"])[0] == pytest.approx(rows[0], abs=1e-5)  # what pads a shorter text counts for nothing


def test_a_row_is_the_mean_of_the_tokens_or_the_first_one(tmp_path: Path) -> None:
    mean, first = model(tmp_path / "mean"), model(tmp_path / "first")
    settle(mean, {"pooling_mode_mean_tokens": True}, "Transformer", "Pooling", "Normalize")
    settle(first, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "Transformer", "Pooling")
    one, other, both = encoder.load(str(mean))(["退", "款", "退款"])
    assert not np.allclose(both, one, atol=0.1)
    assert not np.allclose(both, other, atol=0.1)
    assert encoder.load(str(first))(["退款"])[0] == pytest.approx(one, abs=1e-5)


def test_a_model_that_pools_by_itself_is_taken_at_its_word(tmp_path: Path) -> None:
    assert encoder.load(str(model(tmp_path, pooled=True)))(["退款", "你好"]).shape == (2, DIMENSIONS)


def test_an_engine_with_an_encoder_is_trained_cached_and_asked(folder: Path, tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    write(data / "a.tsv", TRAIN)
    engine = load(data, cache, encoder=str(folder))
    assert engine.model.dense is not None
    assert engine.model.dense.shape == (DIMENSIONS, 3)
    parse = engine.parse("我想退钱")
    assert (parse.ranking[0][0], parse.engine) == ("refund", "encoder")
    assert load(data, cache, encoder=str(folder)).parse("我想退钱") == parse
    assert Place(data, cache, encoder=str(folder)).model != Place(data, cache).model


def test_what_cannot_be_loaded_is_told_kindly(tmp_path: Path) -> None:
    empty, broken, heavy, odd = (tmp_path / name for name in ("empty", "broken", "heavy", "odd"))
    empty.mkdir()
    (model(broken) / "onnx" / "model.onnx").write_bytes(b"no model")
    settle(model(heavy), {"pooling_mode_mean_tokens": True}, "Transformer", "Pooling", "Dense")
    settle(model(odd), {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, "Transformer", "Pooling")
    for place, why in ((empty, "tokenizer.json"), (broken, "broken"), (heavy, "Dense"), (odd, "pooling")):
        with pytest.raises(encoder.NoEncoder, match=why):
            encoder.load(str(place))


def test_the_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None; from nlu import encoder\n"
        "try: encoder.load('anything')\n"
        "except encoder.NoEncoder as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--extra encoder" in run.stdout
