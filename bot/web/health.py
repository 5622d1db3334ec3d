"""Health and figures: GET /healthz, /readyz and /metrics (Prometheus)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from bot.services import watch
from bot.services.centre import Centre

router = APIRouter()


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
    except Exception as error:  # noqa: BLE001 - whatever it is, without the database nothing can be served
        return JSONResponse({"status": "unable", "database": type(error).__name__}, 503)
    body["degraded"] += [f"overdue {o.what}: {o.count} since {o.oldest.isoformat()}" for o in late]
    health = centre.understanding.health()
    body["understanding"] = {"engine": health.engine, "wanted": health.wanted, "ok": health.ok}
    if not health.ok or health.detail:
        body["degraded"].append(f"understanding: {health.detail or health.engine}")
    facts = centre.facts.health()
    body["facts"] = {"source": facts.source, "ok": facts.ok}
    if facts.detail:
        body["degraded"].append(f"facts: {facts.detail}")
    body["carrier"] = "sandbox"
    if not centre.settings.default_database:
        body["degraded"].append("carrier: sandbox; no call and no SMS leaves the house")
    if centre.settings.rehearsal:
        body["rehearsal"] = centre.clock.now().isoformat()
    if body["degraded"]:
        body["status"] = "degraded"
    return JSONResponse(body)


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """What Prometheus scrapes."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
