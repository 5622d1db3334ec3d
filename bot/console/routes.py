"""The console's pages: everything a signed-in person sees and does, gathered for the app to mount."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from bot.console import sign_in
from bot.console.door import centre_of, require, see_other
from bot.core.words import Presence
from bot.services import staff as staff_service
from bot.services.staff import SignedIn

router = APIRouter(include_in_schema=False)
router.include_router(sign_in.router)


@router.post("/console/presence")
async def presence(
    request: Request, staff: Annotated[SignedIn, Depends(require())], presence: Annotated[Presence, Form()]
) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: staff_service.set_presence(session, staff.staff_id, presence, now=now))
    return see_other("/console")
