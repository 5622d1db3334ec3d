"""Search: one box for people, cases and messages, as a page and as a piece of the palette (Ctrl-K)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from bot.console.door import centre_of, fragment, render, require
from bot.console.queries.search import SHOWN, Found, found
from bot.core.search import MAX_QUERY
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/search", include_in_schema=False)
Staffed = Annotated[SignedIn, Depends(require(Function.SEE_CONTACT))]
Asked = Annotated[str, Query(max_length=200)]
FEW = 6


@router.get("")
async def page(request: Request, staff: Staffed, q: Asked = "") -> Response:
    """Everything found, in groups."""
    return render(request, "console/search.html", q=q, found=await _find(request, staff, q), shown=SHOWN)


@router.get("/few")
async def few(request: Request, staff: Staffed, q: Asked = "") -> Response:
    """The first few of each group, while somebody types."""
    seen = await _find(request, staff, q, FEW)
    return HTMLResponse(fragment(request, "console/found.html", q=q, found=seen, shown=FEW))


async def _find(request: Request, staff: SignedIn, q: str, limit: int = SHOWN) -> Found:
    words = q.strip()[:MAX_QUERY]
    if not words:
        return Found()
    return await centre_of(request).db.read(lambda session: found(session, words, staff, limit))
