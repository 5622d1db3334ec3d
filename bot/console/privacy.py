"""People's data at the console: exports and their approval, requests about one's own data, who had whose numbers shown
(REQ-A22, G09, G12, G14)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from bot.console.door import FILES, centre_of, change, language_of, refuse, render, require
from bot.console.reports import days_of
from bot.reports.exporting import ending
from bot.services.permissions import Function, Grant
from bot.services.records import erasure, erasure_prospect, export_files, exports, privacy_requests, unmasking
from bot.services.records.exports import Wish
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing.staff import SignedIn
from store.tables import Export, ExportKind, PrivacyRequest, RequestKind, RequestState

router = APIRouter(prefix="/console/privacy", include_in_schema=False)
Guard = Annotated[SignedIn, Depends(require(Function.GUARD_PRIVACY))]
Exporter = Annotated[SignedIn, Depends(require(Function.EXPORT_DATA))]
Asker = Annotated[SignedIn, Depends(require(Function.EXPORT_DATA, Grant.YES))]
Handler = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Line = Annotated[str, Form(max_length=1000)]
DAYS = (1, 7, 30)
PAGE = "/console/privacy"


# ── exports ──


@router.get("")
async def index(request: Request, staff: Exporter, kind: str = "", of: int = 0) -> Response:
    """The exports one may see, and the form to ask for another, about `of` where it is about one thing."""
    centre = centre_of(request)
    first, last = days_of(request, None, None)
    kinds = exports.kinds_for(staff)
    chosen = ExportKind(kind) if kind in kinds else next(iter(kinds), None)
    return render(
        request,
        "console/privacy/exports.html",
        found=await centre.db.read(lambda s: exports.listed(s, staff)),
        kinds=kinds,
        chosen=chosen,
        choices=await centre.db.read(lambda s: exports.choices(s, chosen)) if chosen is not None else (),
        of=of,
        about=exports.ABOUT,
        handed_out=exports.HANDED_OUT,
        fields=exports.FIELDS,
        sensitive=exports.SENSITIVE,
        export_names=exports.NAMES,
        first=first,
        last=last,
        plans=centre.library.current.policies.plans,
        may_take=lambda export: exports.may_take(export, staff),
    )


@router.post("/exports")
async def ask(request: Request, staff: Asker) -> Response:
    """Which fields there are depends on the kind."""
    centre, form = centre_of(request), await request.form()

    def told(name: str) -> str:
        value = form.get(name, "")
        return value[:1000] if isinstance(value, str) else ""

    if told("kind") not in exports.kinds_for(staff):
        return refuse(request, PAGE, "not_allowed")
    first, last = days_of(request, _day(told("since")), _day(told("until")))
    kind = ExportKind(told("kind"))
    scope: dict[str, Any] = {"since": first.isoformat(), "until": last.isoformat(), "plan": told("plan")[:40]}
    if kind in exports.ABOUT:
        scope = {exports.ABOUT[kind][0]: int(told("about")[:15]) if told("about").isdecimal() else 0}
    wish = Wish(
        kind=kind,
        scope=scope,
        fields=[each for each in form.getlist("fields") if isinstance(each, str)],
        purpose=told("purpose"),
        recipient=told("recipient"),
        outside=bool(told("outside")),
        language=language_of(request),
    )
    return await change(
        request,
        f"{PAGE}?kind={wish.kind}",
        lambda s, now: exports.ask(s, centre, wish, staff=staff, now=now),
        "export_asked",
        back=lambda export: f"{PAGE}/exports/{export.id}",
    )


def _day(told: str) -> date | None:
    try:
        return date.fromisoformat(told)
    except ValueError:
        return None


async def _export(request: Request, export_id: int, staff: SignedIn) -> exports.Listed:
    found = await centre_of(request).db.read(lambda s: exports.listed(s, staff, export_id=export_id))
    if not found:
        raise HTTPException(404)
    return found[0]


@router.get("/exports/{export_id}")
async def show(request: Request, export_id: int, staff: Exporter) -> Response:
    found = await _export(request, export_id, staff)
    return render(
        request,
        "console/privacy/export.html",
        found=found,
        export=found.export,
        about=exports.ABOUT.get(found.export.kind, ("",))[0],
        fields=exports.FIELDS.get(found.export.kind, {}),
        export_names=exports.NAMES,
        why_not=exports.why_not(found.export, staff),
        may_take=exports.may_take(found.export, staff),
    )


@router.post("/exports/{export_id}/decide")
async def decide(
    request: Request, export_id: int, staff: Guard, yes: Annotated[bool, Form()] = False, why: Line = ""
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        f"{PAGE}/exports/{export_id}",
        lambda s, now: exports.decide(s, centre, export_id, yes=yes, why=why, staff=staff, now=now),
    )


@router.get("/exports/{export_id}/file")
async def take(request: Request, export_id: int, staff: Exporter) -> Response:
    """The file, for whoever may have it; each time is written down."""
    centre, now = centre_of(request), centre_of(request).clock.now()
    found = await _export(request, export_id, staff)
    if not exports.may_take(found.export, staff):
        raise HTTPException(403)
    name = await centre.db.write(lambda s: exports.take(s, export_id, staff_id=staff.staff_id, now=now))
    return handed_out(request, name, found.export.number, ending(found.export.kind))


def handed_out(request: Request, name: str, number: str, kind: str) -> Response:
    """A file of the exports' folder; 404 where it is not on this host."""
    path = export_files.folder(centre_of(request)) / name
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(
        path, media_type=FILES[kind], filename=f"{number}.{kind}", headers={"Cache-Control": "private, no-store"}
    )


# ── who looked ──


@router.get("/looks")
async def looks(
    request: Request, _: Guard, days: Annotated[int, Query(ge=1, le=366)] = 7, who: int | None = None
) -> Response:
    """Who had whose numbers shown lately, and how many."""
    centre = centre_of(request)
    since = centre.clock.now() - timedelta(days=days)

    def read(session: Session) -> dict[str, Any]:
        return {
            "looks": unmasking.looks(session, staff_id=who, since=since),
            "counted": unmasking.counted(session, since),
        }

    found = await centre.db.read(read)
    usual = centre.library.current.policies.privacy.unusual
    return render(request, "console/privacy/looks.html", days=days, whose=who, choices=DAYS, usual=usual, **found)


# ── requests about one's own data ──


@router.get("/requests")
async def requests(request: Request, _: Handler) -> Response:
    found = await centre_of(request).db.read(privacy_requests.listed)
    return render(
        request,
        "console/privacy/requests.html",
        found=found,
        request_names=privacy_requests.NAMES,
        today=_today(request),
    )


def _today(request: Request) -> date:
    centre = centre_of(request)
    return centre.clock.now().astimezone(centre.settings.zone).date()


@router.post("/requests")
async def open_request(
    request: Request,
    staff: Handler,
    contact: Annotated[int, Form(ge=1, le=2**53)],
    kind: Annotated[RequestKind, Form()],
    case: Annotated[int | None, Form(ge=1, le=2**53)] = None,
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        f"/console/contacts/{contact}",
        lambda s, now: privacy_requests.open_request(
            s, centre, contact, kind, staff_id=staff.staff_id, now=now, case_id=case
        ),
        None,
        back=lambda opened: _page(opened.id),
    )


def _page(request_id: int) -> str:
    return f"{PAGE}/requests/{request_id}"


@router.get("/requests/{request_id}")
async def request_page(request: Request, request_id: int, staff: Handler) -> Response:
    return await _request_page(request, request_id, staff)


async def _request_page(request: Request, request_id: int, staff: SignedIn, link: str = "") -> Response:
    centre = centre_of(request)

    def read(session: Session) -> dict[str, Any] | None:
        found = privacy_requests.listed(session, request_id=request_id)
        if not found:
            return None
        row = found[0].request
        erasing = row.kind is RequestKind.ERASURE and row.state is not RequestState.DONE
        return {
            "found": found[0],
            "row": row,
            "prospect": erasure_prospect.prospect(session, row.contact_id) if erasing else None,
            "export": session.get(Export, row.export_id) if row.export_id is not None else None,
            "why_not": privacy_requests.why_not(row, staff),
        }

    context = await centre.db.read(read)
    if context is None:
        raise HTTPException(404)
    return render(
        request,
        "console/privacy/request.html",
        **context,
        link=link,
        request_names=privacy_requests.NAMES,
        identities=privacy_requests.IDENTITIES,
        goes=erasure_prospect.GOES,
        stays=erasure_prospect.STAYS,
        against=erasure_prospect.WHY_NOT,
        steps=len(erasure.STEPS),
        today=_today(request),
    )


@router.post("/requests/{request_id}/identity")
async def identity(
    request: Request, request_id: int, staff: Handler, how: Annotated[str, Form(max_length=24)] = ""
) -> Response:
    """How it was made sure who asks."""
    return await change(
        request,
        _page(request_id),
        lambda s, now: privacy_requests.check_identity(s, request_id, how, staff_id=staff.staff_id, now=now),
    )


@router.post("/requests/{request_id}/approve")
async def approve(request: Request, request_id: int, staff: Guard) -> Response:
    centre, language = centre_of(request), language_of(request)
    return await change(
        request,
        _page(request_id),
        lambda s, now: privacy_requests.approve(s, centre, request_id, staff=staff, language=language, now=now),
    )


@router.post("/requests/{request_id}/refuse")
async def turn_down(request: Request, request_id: int, staff: Guard, why: Line = "") -> Response:
    return await change(
        request,
        _page(request_id),
        lambda s, now: privacy_requests.refuse(s, request_id, why, staff_id=staff.staff_id, now=now),
    )


@router.post("/requests/{request_id}/link")
async def link(request: Request, request_id: int, staff: Handler) -> Response:
    """Shows, once, the address at which the person takes their copy."""
    centre, now = centre_of(request), centre_of(request).clock.now()
    try:
        token = await centre.db.write(
            lambda s: privacy_requests.make_link(s, request_id, staff_id=staff.staff_id, now=now)
        )
    except RefusedError as error:
        return refuse(request, _page(request_id), error.code)
    return await _request_page(request, request_id, staff, f"{centre.settings.address}/my-data/{token}")


@router.get("/requests/{request_id}/file")
async def copy(request: Request, request_id: int, staff: Handler) -> Response:
    """The copy, for the colleague who hands it over."""
    centre, now = centre_of(request), centre_of(request).clock.now()

    def work(session: Session) -> tuple[str, str]:
        row = session.get_one(PrivacyRequest, request_id)
        if row.export_id is None or staff.staff_id not in (row.opened_by, row.checked_by):
            raise NotFoundError
        name = exports.take(session, row.export_id, staff_id=staff.staff_id, now=now)
        return name, session.get_one(Export, row.export_id).number

    name, number = await centre.db.write(work)
    return handed_out(request, name, number, "zip")


# ── the person's own door ──

own = APIRouter(include_in_schema=False)


@own.get("/my-data/{token}")
async def my_data(request: Request, token: str) -> Response:
    """The copy, for the person who was given the link; it ends with the file."""
    centre, now = centre_of(request), centre_of(request).clock.now()
    name, number = await centre.db.write(lambda s: privacy_requests.copy_at(s, token[:200], now))
    return handed_out(request, name, number, "zip")
