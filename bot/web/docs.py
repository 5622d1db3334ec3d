"""The API's documentation at /docs: Swagger UI from a package that ships it, so that no foreign server is asked."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)
ASSETS = Path(fastapi_offline.__file__).parent / "static"
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI writes styles into its elements, hence a policy of its own for this page."""
    page: Response = request.app.state.look.page(request, "docs.html")
    page.headers["Content-Security-Policy"] = POLICY
    return page


def install(app: FastAPI) -> None:
    app.mount("/docs/assets", StaticFiles(directory=ASSETS), "docs-assets")
    app.include_router(router)
