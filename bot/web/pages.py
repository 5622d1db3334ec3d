"""The start page, which leads to every door, and the script that puts the chat on anybody's site."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from bot.services.centre import Centre
from bot.web.look import STATIC

router = APIRouter(include_in_schema=False)


@router.get("/")
async def start(request: Request) -> Response:
    centre: Centre = request.app.state.centre
    look = request.app.state.look
    page: Response = look.page(
        request,
        "start.html",
        company=centre.library.current.policies.company.name.of(look.language(request)),
        address=centre.settings.address,
        has_phone=request.app.state.has_phone,
    )
    return page


@router.get("/widget.js")
async def widget() -> Response:
    """<script src="…/widget.js" async></script> on any page adds the chat to it."""
    return FileResponse(
        STATIC / "widget.js", media_type="text/javascript", headers={"Cache-Control": "public, max-age=3600"}
    )


@router.get("/favicon.ico")
async def icon() -> Response:
    return RedirectResponse("/static/icon.svg", 308)
