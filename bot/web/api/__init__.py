"""/api/v1: the door for other systems, with a bearer token; described at /openapi.json and shown at /docs.

Times go in and come out as ISO 8601 with an offset. Telephone numbers go in as people write them and come out masked.
Errors are {"detail": …}: 401 without the token, 404, 409 where a rule stands against it (with `code` and a `message` in
the reader's language, by Accept-Language), 413 above 256 kB, 422 where the request is not of the right shape.
"""

from fastapi import APIRouter, Depends

from bot.web.api import alerts, broadcasts, cases, contacts, follow_ups, incidents
from bot.web.api.door import Guarded, known

router = APIRouter(prefix="/api/v1", dependencies=[Depends(known)], route_class=Guarded)
for part in (contacts, follow_ups, cases, incidents, broadcasts, alerts):
    router.include_router(part.router)
