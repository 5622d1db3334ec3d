"""What the embedded classifier sees of a text: words, pairs of words, pieces of words, and what words mean.

Latin text gives words with their neighbours, pairs of words that stand near each other, and character 3- and 4-grams
inside a word (typos leave most of them whole). Chinese gives characters with their neighbours and 2–4-grams of each
run, which needs no word segmentation (a segmenter earned 0.6 points at most, for 65 MB and 0.7 s). In both, the lexicon
names the groups of words that say the same, and which groups meet in one text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import combinations, pairwise

from bot.core.words import Language
from nlu.lexicon import shipped

LONGEST = 400
"""Characters looked at: the beginning and the end of a longer text, where people say what they want."""

PAIR_WINDOW = 8
"""How far apart, in words, the two of a pair may stand."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_IS_HAN = re.compile(f"[{_HAN}]")
_FIRST_HAN = "\u3400"
_TOKEN = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+(?:'[^\W_{_HAN}]+)?")
_RUN = re.compile(rf"[{_HAN}]+|[^\s{_HAN}]+")
_LATIN_WORD = re.compile(r"[A-Za-z]+")
_LONG_NUMBER = re.compile(r"\d{4,}")


def normalise(text: str) -> str:
    """Width, case and line breaks evened out, quotes straightened, overlong text cut in its middle."""
    if len(text) > LONGEST:
        text = text[: LONGEST * 3 // 4] + " " + text[-LONGEST // 4 :]
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def language_of(text: str, otherwise: Language = Language.ZH) -> Language:
    """Chinese where Chinese characters carry the text, English where words do; `otherwise` where neither is there."""
    sample = text[:LONGEST]
    han, words = len(_IS_HAN.findall(sample)), len(_LATIN_WORD.findall(sample))
    if not han and not words:
        return otherwise
    return Language.ZH if han > words else Language.EN


def written_in(text: str) -> Language | None:
    """The language a text is surely in: a few characters of Chinese, or three English words without any.

    >>> written_in("暖气不热"), written_in("my radiator is cold"), written_in("OK")
    (<Language.ZH: 'zh'>, <Language.EN: 'en'>, None)
    """
    sample = text[:LONGEST]
    han, words = len(_IS_HAN.findall(sample)), len(_LATIN_WORD.findall(sample))
    if han >= 2 and han > words:
        return Language.ZH
    return Language.EN if words >= 3 and not han else None


def grams(text: str) -> tuple[set[str], ...]:
    """Words, pairs, pieces, the lexicon's groups and pairs of groups of `text`, which is normalised here."""
    plain = _LONG_NUMBER.sub("0000", normalise(text))
    tokens = _TOKEN.findall(plain)
    groups = shipped().groups(plain)
    return (
        _words(tokens),
        _pairs(tokens),
        _pieces(plain),
        groups,
        {f"{a}+{b}" for a, b in combinations(sorted(groups), 2)},
    )


def _words(tokens: list[str]) -> set[str]:
    """Single words, the first and the last, and two neighbours (two Chinese characters are already a piece)."""
    if not tokens:
        return set()
    found = {*tokens, f"^ {tokens[0]}", f"{tokens[-1]} $"}
    found.update([f"{a} {b}" for a, b in pairwise(tokens) if a < _FIRST_HAN or b < _FIRST_HAN])
    return found


def _pairs(tokens: list[str]) -> set[str]:
    """Two different Latin words near each other, in either order."""
    latin = [token for token in tokens if token < _FIRST_HAN]
    return {
        f"{a}|{b}" if a < b else f"{b}|{a}"
        for i, a in enumerate(latin)
        for b in latin[i + 1 : i + 1 + PAIR_WINDOW]
        if a != b
    }


def _pieces(plain: str) -> set[str]:
    found: set[str] = set()
    for run in _RUN.findall(plain):
        found |= _pieces_of_han(run) if _IS_HAN.match(run) else _pieces_of_word(run)
    return found


def _pieces_of_han(run: str) -> set[str]:
    return {run[i : i + size] for size in (2, 3, 4) for i in range(len(run) - size + 1)}


@lru_cache(20_000)
def _pieces_of_word(word: str) -> frozenset[str]:
    padded = f" {word} "
    return frozenset(padded[i : i + size] for size in (3, 4) for i in range(len(padded) - size + 1))
