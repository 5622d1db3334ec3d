"""The console's rooms, gathered for the app to mount."""

from __future__ import annotations

from fastapi import APIRouter

from bot.console import (
    account,
    announcement_drafts,
    announcement_templates,
    archive,
    archive_files,
    broadcasts,
    calendar,
    callback,
    callbacks,
    canned,
    case_work,
    cases,
    contacts,
    conversations,
    corrections,
    drills,
    files,
    floor,
    imports,
    incident_plan,
    incidents,
    joining,
    learning,
    manual,
    merges,
    office,
    plans,
    privacy,
    repairs,
    reports,
    roster,
    scripts,
    search,
    service,
    setup,
    sign_in,
    steps,
    visits,
    wall,
)

router = APIRouter(include_in_schema=False)
ROOMS = (
    setup,
    sign_in,
    floor,
    conversations,
    canned,
    joining,
    files,
    cases,
    repairs,
    visits,
    imports,
    calendar,
    callbacks,
    plans,
    callback,  # last of the five: its addresses begin with any word
    case_work,
    contacts,
    search,
    merges,
    wall,  # and drills, before incidents, whose own addresses would take theirs
    drills,
    incidents,
    incident_plan,
    manual,
    announcement_drafts,
    announcement_templates,  # before broadcasts, whose own addresses would take theirs
    broadcasts,
    service,  # before reports, whose own addresses would take its
    reports,
    roster,
    steps,
    scripts,
    learning,
    corrections,
    privacy,
    archive,
    archive_files,
    office,
    account,
)
for room in ROOMS:
    router.include_router(room.router)
router.include_router(privacy.own)
