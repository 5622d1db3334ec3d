"""CAP 1.2 in and out: what others send opens a suspected incident and no more; what we announce is readable as CAP.

Nothing of an imported alert reaches a customer: people confirm the incident, draft and approve. A cancellation is a
line on the incident's timeline. Times carry their offset and never "Z", as the standard asks (3.3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, ParseError, SubElement, register_namespace, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.cap import Alert, CapRefused, Info, Kind, Reference, refused
from bot.core.words import IncidentSource, IncidentState, Language
from bot.services import i18n
from bot.services.announcements import notices
from bot.services.announcements.notices import Notice
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.incidents import detection, incidents
from bot.services.incidents.incident_file import allow, note, roles_of
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function, Grant, may
from bot.services.refusal import RefusedError
from store.tables import CapAlert, Incident

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MAX_BYTES = 128 * 1024
AHEAD = timedelta(minutes=5)  # a sender's clock may be so far before ours
BUILDING = N_("%(name)s号楼")
LATER = timedelta(hours=24)  # how long what we say holds, where nothing else is said
register_namespace("", NAMESPACE)


class CapError(ValueError):
    """The document is no CAP 1.2 alert; says what would be right."""


class CapRefusedError(RefusedError):
    """A good alert that is not taken; `code` is a CapRefused."""


# ── in ──


def read(data: bytes) -> Alert:
    """A CAP 1.2 document as values. Raises CapError."""
    if len(data) > MAX_BYTES:
        raise CapError(f"larger than {MAX_BYTES // 1024} KB")
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise CapError("not an XML document without a DTD") from error
    if root.tag != f"{{{NAMESPACE}}}alert":
        raise CapError(f"the root is to be <alert xmlns={NAMESPACE!r}>")
    status = _one_of(root, "status", ("Actual", "Exercise", "System", "Test", "Draft"))
    if status in ("System", "Draft"):
        raise CapError(f"status {status}: only Actual, Exercise and Test are taken")
    kind = _one_of(root, "msgType", tuple(each.value for each in Kind))
    return Alert(
        identifier=_name(root, "identifier", 200),
        sender=_name(root, "sender", 120),
        sent=_moment(_text(root, "sent"), "sent"),
        kind=Kind(kind),
        exercise=status != "Actual",
        references=_references(_text(root, "references")),
        infos=tuple(_info(each) for each in root.findall(f"{{{NAMESPACE}}}info")),
    )


def _text(parent: Element, name: str) -> str:
    return (parent.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()


def _name(parent: Element, name: str, longest: int) -> str:
    """A required name without spaces, commas or markup (3.2.1)."""
    found = _text(parent, name)
    if not found or len(found) > longest or set(found) & set(" ,<&"):
        raise CapError(f"{name}: wanted, at most {longest} characters, without spaces and commas")
    return found


def _one_of(parent: Element, name: str, values: tuple[str, ...]) -> str:
    found = _text(parent, name)
    if found not in values:
        raise CapError(f"{name}: one of {', '.join(values)}")
    return found


def _moment(text: str, name: str) -> datetime:
    wanted = f"{name}: a moment with its offset, such as 2026-07-01T10:00:00+08:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CapError(wanted) from error
    if moment.tzinfo is None:
        raise CapError(wanted)
    return moment


def _references(text: str) -> tuple[Reference, ...]:
    found = []
    for each in text.split():
        parts = each.split(",")
        if len(parts) != 3:
            raise CapError("references: sender,identifier,sent, divided by spaces")
        found.append(Reference(parts[0], parts[1], _moment(parts[2], "references")))
    return tuple(found)


def _info(node: Element) -> Info:
    expires = _text(node, "expires")
    areas = (_text(each, "areaDesc") for each in node.findall(f"{{{NAMESPACE}}}area"))
    return Info(
        language=_text(node, "language") or "en-US",
        event=_text(node, "event"),
        headline=_text(node, "headline"),
        description=_text(node, "description"),
        instruction=_text(node, "instruction"),
        areas=tuple(filter(None, areas)),
        urgency=_text(node, "urgency"),
        severity=_text(node, "severity"),
        certainty=_text(node, "certainty"),
        expires=_moment(expires, "expires") if expires else None,
        category=_text(node, "category"),
    )


def take(session: Session, centre: Centre, alert: Alert, *, staff_id: int, now: datetime) -> Incident | None:
    """Takes an alert: a suspected incident (a drill where the sender only exercises), or a line on the one it is about.

    Raises CapRefusedError where it expired, came before, or out of order; IncidentRefusedError where this person may
    not report incidents. None: a cancellation of something that is no incident here.
    """
    earlier = session.scalars(select(CapAlert).where(CapAlert.sender == alert.sender)).all()
    later = _spoken_of(earlier)
    code = refused(alert, {each.identifier for each in earlier}, later, now)
    if code is None and alert.sent > now + AHEAD:
        code = CapRefused.OUT_OF_ORDER
    if code is not None:
        raise CapRefusedError(code)
    about = {each.identifier for each in alert.references}
    incident_id = next((each.incident_id for each in reversed(earlier) if each.identifier in about), None)
    incident = session.get(Incident, incident_id) if incident_id is not None else None
    info = _in_our_language(alert, centre)
    if alert.kind is Kind.ALERT or (incident is None and alert.kind is Kind.UPDATE):
        incident = _suspect(session, centre, alert, info, staff_id, now)
    elif incident is not None:
        note(session, incident, "note", _told(alert, info), staff_id, now)
    session.add(
        CapAlert(
            sender=alert.sender,
            identifier=alert.identifier,
            sent=alert.sent,
            kind=alert.kind.value,
            incident_id=incident.id if incident else None,
            at=now,
        )
    )
    session.flush()
    return incident


def _suspect(
    session: Session, centre: Centre, alert: Alert, info: Info | None, staff_id: int, now: datetime
) -> Incident:
    """The incident it opens: suspected, for a person to confirm, unless the operator trusts its sender."""
    allow(session, staff_id, Function.OPEN_INCIDENT)
    policy = catalogue(centre).cap
    incident = detection.suspect(
        session,
        centre,
        code=policy.types.get(info.category if info else "", policy.otherwise),
        title=(info.headline or info.event if info else "") or alert.identifier,
        buildings=[],
        source=IncidentSource.API,
        key=f"cap:{alert.sender}:{alert.identifier}",
        now=now,
        started_at=min(alert.sent, now),
        details=_told(alert, info),
        drill=alert.exercise,
    )
    trusted = alert.sender in policy.trusted and may(roles_of(session, staff_id), Function.OPEN_INCIDENT, Grant.YES)
    if trusted and incident.state is IncidentState.SUSPECTED:
        incidents.confirm(session, centre, incident.id, staff_id=staff_id, now=now)
    return incident


def _spoken_of(earlier: Sequence[CapAlert]) -> dict[str, datetime]:
    """When the matter behind each identifier was last spoken of: all alerts of one incident are one matter."""
    last: dict[int, datetime] = {}
    for each in earlier:
        if each.incident_id is not None:
            last[each.incident_id] = max(each.sent, last.get(each.incident_id, each.sent))
    return {each.identifier: last.get(each.incident_id or 0, each.sent) for each in earlier}


def _in_our_language(alert: Alert, centre: Centre) -> Info | None:
    ours = [each for each in alert.infos if each.language.lower().startswith(centre.settings.language)]
    return next(iter((*ours, *alert.infos)), None)


def _told(alert: Alert, info: Info | None) -> str:
    said = [f"CAP {alert.kind.value} · {alert.sender} · {alert.identifier}"]
    if info is not None:
        said += [info.event, info.headline, info.description, info.instruction, " ".join(info.areas)]
        said.append(" · ".join(filter(None, (info.urgency, info.severity, info.certainty))))
    return "\n".join(filter(None, said))[:4000]


# ── out ──


def written(centre: Centre, notice: Notice, sender: str) -> bytes:
    """A public notice as a CAP 1.2 document, in both languages."""
    zone = centre.settings.zone
    root = Element(f"{{{NAMESPACE}}}alert")

    def put(parent: Element, name: str, text: str) -> Element:
        node = SubElement(parent, f"{{{NAMESPACE}}}{name}")
        node.text = text
        return node

    def at(moment: datetime) -> str:
        return moment.astimezone(zone).isoformat(timespec="seconds")

    put(root, "identifier", notices.identifier(notice.id))
    put(root, "sender", sender)
    put(root, "sent", at(notice.sent))
    put(root, "status", "Actual")
    put(root, "msgType", "Update" if notice.follows else "Alert")
    put(root, "scope", "Public")
    if notice.follows:
        earlier = (f"{sender},{notices.identifier(each.id)},{at(each.sent)}" for each in notice.follows)
        put(root, "references", " ".join(earlier))
    company = centre.library.current.policies.company.name
    for language, said, by in (("zh-CN", notice.text.zh, company.zh), ("en-US", notice.text.en, company.en)):
        info = SubElement(root, f"{{{NAMESPACE}}}info")
        put(info, "language", language)
        put(info, "category", "Infra")
        put(info, "event", notice.title)
        if notice.over:
            put(info, "responseType", "AllClear")
        put(info, "urgency", "Past" if notice.over else "Immediate")
        put(info, "severity", "Minor" if notice.over else "Moderate")
        put(info, "certainty", "Observed")
        put(info, "expires", at(notice.expires or notice.sent + LATER))
        put(info, "senderName", by)
        put(info, "headline", said[:160])
        put(info, "description", said)
        area = SubElement(info, f"{{{NAMESPACE}}}area")
        put(area, "areaDesc", _area(notice, language) or by)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _area(notice: Notice, language: str) -> str:
    """The buildings as people call them; nothing: everywhere."""
    spoken = Language.ZH if language.startswith(Language.ZH) else Language.EN
    named = [i18n.text(spoken, BUILDING, name=name) if name.isdigit() else name for name in notice.buildings]
    return ("、" if spoken is Language.ZH else ", ").join(named)
