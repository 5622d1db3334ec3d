"""What the bot did not understand: grouped, given an intent by a person, ready for the next training."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, render, require, see_other
from bot.services.conversation import learning
from bot.services.intents import known_intents
from bot.services.permissions import Function
from bot.services.refusal import NotFoundError
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/learning", include_in_schema=False)
Teacher = Annotated[SignedIn, Depends(require(Function.EDIT_POLICIES))]


@router.get("")
async def page(request: Request, _: Teacher) -> Response:
    def read(session: Session) -> dict[str, Any]:
        return {"groups": learning.waiting(session), "count": learning.count(session)}

    found = await centre_of(request).db.read(read)
    return render(request, "console/learning.html", **found, intents=known_intents())


@router.post("")
async def decide(
    request: Request,
    staff: Teacher,
    message: Annotated[list[int], Form(max_length=learning.SHOWN)],
    intent: Annotated[str, Form(max_length=60)] = learning.NO_EXAMPLE,
) -> Response:
    """The chosen messages become examples of an intent, or none of any; the examples' file is written at once."""
    centre = centre_of(request)
    now = centre.clock.now()
    try:
        await centre.db.write(lambda s: learning.decide(s, message, intent, staff_id=staff.staff_id, now=now))
    except NotFoundError as error:
        raise HTTPException(422) from error
    learning.write_examples(centre.settings.home / "nlu", await centre.db.read(learning.learned))
    return see_other("/console/learning", "taught" if intent else "saved")
