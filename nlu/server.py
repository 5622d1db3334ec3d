"""A Rasa Open Source 3.6 server as an engine: its HTTP answer, made into a Parse.

The server only names the intent; entities, language and emotion are found here, the same for every engine. Its ranking
is held to the candidates of the moment (enabled intents, answers the open question expects), as the embedded one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from bot.core.words import Language, Parse
from nlu.emotion import emotion
from nlu.engine import OUT_OF_SCOPE
from nlu.entities import extract
from nlu.features import LONGEST, language_of

PATIENCE = 0.25
"""Seconds a whole answer may take; with what follows, a fallback stays within 300 ms."""

FALLBACK = "nlu_fallback"
"""Rasa's FallbackClassifier says so where it is not sure enough."""


class Unavailable(Exception):  # noqa: N818 - a state of the server, not a mistake
    """The server gave no usable answer: dead, slow, or without a (whole) model. The text is fit for a health page."""


class RasaServer:
    """`url` is the server's root, e.g. http://rasa:5005; `intents` are those the program knows."""

    name = "rasa"

    def __init__(
        self, url: str, intents: frozenset[str], answer_only: frozenset[str] = frozenset(), patience: float = PATIENCE
    ) -> None:
        self.intents, self.answer_only, self.patience = intents, answer_only, patience
        self._client = httpx.AsyncClient(base_url=url, timeout=None)  # noqa: S113 - each answer is timed as a whole

    async def parse_async(
        self,
        text: str,
        *,
        language: Language | None = None,
        enabled: frozenset[str] | None = None,
        expecting: frozenset[str] = frozenset(),
        now: datetime | None = None,
        zone: ZoneInfo | None = None,
        patience: float | None = None,
    ) -> Parse:
        """As `nlu.engine.Engine.parse`. Raises Unavailable after `patience` seconds at the latest."""
        answer = await self._ask(text[:LONGEST], patience or self.patience)
        ranking, in_scope, fits = self._ranking(answer, enabled, expecting)
        intent, confidence = ranking[0] if ranking else ("", 0.0)
        return Parse(
            text=text,
            intent=intent if fits else "",
            confidence=confidence,
            ranking=ranking[:10],
            entities=extract(text, now, zone),
            language=language_of(text, language or Language.ZH),
            emotion=emotion(text),
            engine=self.name,
            in_scope=in_scope,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, text: str, patience: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(patience):
                response = await self._client.post("/model/parse", json={"text": text})
            response.raise_for_status()
            answer = response.json()
        except TimeoutError as error:
            raise Unavailable(f"no answer within {patience * 1000:.0f} ms") from error
        except httpx.HTTPStatusError as error:
            raise Unavailable(f"answered {error.response.status_code}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(type(error).__name__) from error
        if not isinstance(answer, dict) or not isinstance(answer.get("intent_ranking"), list):
            raise Unavailable("its answer is no parse")
        return answer

    def _ranking(
        self, answer: Mapping[str, Any], enabled: frozenset[str] | None, expecting: frozenset[str]
    ) -> tuple[tuple[tuple[str, float], ...], float, bool]:
        """The candidates, best first, summing to 1; how surely the best fits; and whether it fits well enough."""
        try:
            rows = [(str(row["name"]), float(row["confidence"])) for row in answer["intent_ranking"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable("its answer is no parse") from error
        known = {name: confidence for name, confidence in rows if name in self.intents}
        if answer.get("text") and not known:
            raise Unavailable("its model knows none of our intents")
        outside = known.pop(OUT_OF_SCOPE, 0.0)
        possible = [(name, share) for name, share in known.items() if self._may_win(name, enabled, expecting)]
        total = sum(share for _, share in possible)
        if total <= 0:
            return (), 0.0, False
        ranking = sorted(((name, share / total) for name, share in possible), key=lambda row: -row[1])
        best = ranking[0][1] * total
        return tuple(ranking), best, best > outside and rows[0][0] != FALLBACK

    def _may_win(self, intent: str, enabled: frozenset[str] | None, expecting: frozenset[str]) -> bool:
        return intent in expecting or (intent not in self.answer_only and (enabled is None or intent in enabled))
