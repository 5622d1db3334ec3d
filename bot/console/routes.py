"""The console's rooms, gathered for the app to mount."""

from __future__ import annotations

from fastapi import APIRouter

from bot.console import (
    broadcasts,
    callbacks,
    cases,
    contacts,
    conversations,
    files,
    floor,
    incidents,
    learning,
    merges,
    office,
    repairs,
    reports,
    scripts,
    sign_in,
    visits,
)

router = APIRouter(include_in_schema=False)
ROOMS = (
    sign_in,
    floor,
    conversations,
    files,
    cases,
    repairs,
    visits,
    callbacks,
    contacts,
    merges,
    incidents,
    broadcasts,
    reports,
    scripts,
    learning,
    office,
)
for room in ROOMS:
    router.include_router(room.router)
