"""The console's rooms, gathered for the app to mount."""

from __future__ import annotations

from fastapi import APIRouter

from bot.console import (
    broadcasts,
    callbacks,
    cases,
    contacts,
    conversations,
    floor,
    incidents,
    office,
    reports,
    sign_in,
)

router = APIRouter(include_in_schema=False)
for room in (sign_in, floor, conversations, cases, callbacks, contacts, incidents, broadcasts, reports, office):
    router.include_router(room.router)
