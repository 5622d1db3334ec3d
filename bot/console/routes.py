"""The console's rooms, gathered for the app to mount."""

from __future__ import annotations

from fastapi import APIRouter

from bot.console import cases, contacts, conversations, floor, office, sign_in

router = APIRouter(include_in_schema=False)
for room in (sign_in, floor, conversations, cases, contacts, office):
    router.include_router(room.router)
