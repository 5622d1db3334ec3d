"""The optional encoder: the library's real loading code on a tiny model made here, where the extra is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from nlu import encoder
from nlu.embedded import Place, load
from tests.nlu.test_evaluation import TRAIN, write

installed = importlib.util.find_spec("sentence_transformers") is not None
with_extra = pytest.mark.skipif(not installed, reason="the extra `encoder` is not installed")
without_extra = pytest.mark.skipif(installed, reason="the extra `encoder` is installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static embedding of single characters, 16 dimensions, as sentence-transformers stores its models."""
    tokenizers = pytest.importorskip("tokenizers")
    library = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.models")
    letters = sorted({letter for texts in TRAIN.values() for text in texts for letter in text})
    vocabulary = {"[UNK]": 0} | {letter: n for n, letter in enumerate(letters, 1)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    weights = np.random.default_rng(1).normal(size=(len(vocabulary), 16)).astype(np.float32)
    place = tmp_path_factory.mktemp("tiny")
    static = modules.StaticEmbedding(tokenizer, embedding_weights=weights)
    library.SentenceTransformer(modules=[static], device="cpu").save(str(place))
    return place


@with_extra
@pytest.mark.filterwarnings("ignore")
def test_rows_are_of_unit_length(folder: Path) -> None:
    rows = encoder.load(str(folder))(["退款", "hello", "退款"])
    assert rows.shape == (3, 16)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert (rows[0] == rows[2]).all()


@with_extra
@pytest.mark.filterwarnings("ignore")
def test_an_engine_with_an_encoder_is_trained_cached_and_asked(folder: Path, tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    write(data / "a.tsv", TRAIN)
    engine = load(data, cache, encoder=str(folder))
    assert engine.model.dense is not None
    assert engine.model.dense.shape == (16, 3)
    parse = engine.parse("我想退钱")
    assert (parse.ranking[0][0], parse.engine) == ("refund", "encoder")
    assert load(data, cache, encoder=str(folder)).parse("我想退钱") == parse
    assert Place(data, cache, encoder=str(folder)).model != Place(data, cache).model


@with_extra
@pytest.mark.filterwarnings("ignore")
def test_a_folder_without_a_model_is_told_kindly(tmp_path: Path) -> None:
    with pytest.raises(encoder.NoEncoder, match=tmp_path.name):
        encoder.load(str(tmp_path))


@without_extra
def test_the_missing_extra_is_named() -> None:
    with pytest.raises(encoder.NoEncoder, match="--extra encoder"):
        encoder.load("anything")
