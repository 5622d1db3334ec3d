"""Sentence embeddings beside the words, for those who can have a model: the extra `encoder`, off by default.

Any model of the sentence-transformers library serves: a local folder, or a name the library downloads once. A
frozen small English model lifted banking77 from 0.918 to 0.932 and with 10 examples an intent from 0.766 to 0.855,
at 6-11 ms a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np

from nlu.features import LONGEST
from nlu.model import Floats

Encode = Callable[[Sequence[str]], Floats]
"""Texts in, one row of unit length each out."""


class NoEncoder(ValueError):  # noqa: N818 - what is missing
    """The extra is not installed, or the model cannot be loaded; the message says which."""


def load(source: str) -> Encode:
    """The encoder in the folder `source`, or of that name. Raises NoEncoder."""
    try:
        library = import_module("sentence_transformers")  # an extra: most installations do not have it
    except ImportError as error:
        raise NoEncoder("the encoder needs the extra: uv sync --extra encoder") from error
    try:
        network = library.SentenceTransformer(source, device="cpu")
    except (OSError, ValueError, KeyError) as error:
        raise NoEncoder(f"{source}: {error}") from error

    def encode(texts: Sequence[str]) -> Floats:
        cut = [text[:LONGEST] for text in texts]
        rows = np.asarray(network.encode(cut, show_progress_bar=False, convert_to_numpy=True), np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)

    return encode
