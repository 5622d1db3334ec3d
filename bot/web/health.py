"""Health and figures: GET /healthz, /readyz and /metrics (Prometheus)."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import JSONResponse, Response

from bot.core.facts import Question
from bot.core.telephone import Speaks
from bot.core.words import ChannelName
from bot.services import watch
from bot.services.centre import Centre
from bot.services.conversation import polling
from bot.services.escalation import ladders

router = APIRouter()
FIGURES = "PROMETHEUS_MULTIPROC_DIR"  # where processes put theirs together; the client knows it by this name
PROBE = Question("promotions")  # any table: its answer is remembered for a while, and a failed source is not asked


@router.get("/healthz", include_in_schema=False)
async def healthz() -> JSONResponse:
    """The process is alive."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", include_in_schema=False)
async def readyz(request: Request) -> JSONResponse:
    """200 with what is degraded; 503 only when unable to serve."""
    centre: Centre = request.app.state.centre
    body: dict[str, Any] = {"status": "ready", "worker": centre.worker, "degraded": []}
    try:
        late = await centre.db.read(lambda s: watch.overdue(s, centre.clock.now(), centre.clock.machine()))
        unknown = await centre.db.read(ladders.unknown)
    except Exception as error:  # noqa: BLE001 - whatever it is, without the database nothing can be served
        return JSONResponse({"status": "unable", "database": type(error).__name__}, 503)
    body["degraded"] += [f"overdue {o.what}: {o.count} since {o.oldest.isoformat()}" for o in late]
    body["degraded"] += [f"no ladder is called {name}: {n} climb their urgency's" for name, n in unknown.items()]
    body["degraded"] += [f"scripts refused, the old ones stay: {each}" for each in centre.library.refused]
    health = centre.understanding.health()
    body["understanding"] = {"engine": health.engine, "wanted": health.wanted, "ok": health.ok}
    if not health.ok or health.detail:
        body["degraded"].append(f"understanding: {health.detail or health.engine}")
    await centre.facts.rows(PROBE)
    facts = centre.facts.health()
    body["facts"] = {"source": facts.source, "ok": facts.ok}
    if facts.detail:
        body["degraded"].append(f"facts: {facts.detail}")
    if centre.settings.telegram:
        body["telegram"] = await _telegram(centre)
        if body["telegram"]["ok"] is False:
            body["degraded"].append(f"telegram: {body['telegram'].get('error') or 'silent'}")
    voice = centre.channels.get(ChannelName.VOICE)
    body["carrier"] = voice.carrier if isinstance(voice, Speaks) else None
    if body["carrier"] == "sandbox" and not centre.settings.default_database:
        body["degraded"].append("carrier: sandbox; no call and no SMS leaves the house")
    if centre.settings.rehearsal:
        body["rehearsal"] = centre.clock.now().isoformat()
    if body["degraded"]:
        body["status"] = "degraded"
    return JSONResponse(body)


async def _telegram(centre: Centre) -> dict[str, Any]:
    """Since when somebody asks Telegram for updates, when it last answered, and what went wrong last."""
    machine = centre.clock.machine()
    asked = await centre.db.read(lambda s: polling.health(s, ChannelName.TELEGRAM, machine))
    if asked is None:
        return {"ok": None, "mode": centre.settings.telegram_mode}
    times = {"since": asked.since, "heard_at": asked.heard_at, "error_at": asked.error_at}
    return {
        "ok": asked.ok,
        "mode": asked.mode,
        "worker": asked.worker,
        "error": asked.error,
        **{name: at.isoformat() if at else None for name, at in times.items()},
    }


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """What Prometheus scrapes: of all of `serve`'s processes, where there are several."""
    figures = REGISTRY
    if FIGURES in os.environ:
        figures = CollectorRegistry()
        MultiProcessCollector(figures)  # type: ignore[no-untyped-call]
    return Response(generate_latest(figures), media_type=CONTENT_TYPE_LATEST)
