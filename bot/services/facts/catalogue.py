"""What a shop and its desk may say: products, sizes, offers, coupons, couriers, approved texts (INT-09 … INT-23).

All of it comes from the operator's tables (bot/core/facts.py); what they do not say is left out (REQ-D11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from rapidfuzz import fuzz
from sqlalchemy import func, or_, select

from bot.core.facts import EVERYWHERE_ELSE, Key, Outcome, Question, Row, localised
from bot.core.windows import local_date
from bot.core.words import Language
from bot.services.conversation.scene import Perform, Scene
from bot.services.facts.facts import changed, known
from bot.services.i18n import N_, text
from store.tables import Address, Contact, Coupon

ALIKE = 75.0  # of 100: a name this near to what was said is asked about, never taken
CHOICES = 3
NAME, CODE = 60, 200  # characters of a campaign and of a coupon's code that are kept
SHORTEST = 2  # characters of a word that may stand for a product


def _rows(scene: Scene, table: str, key: Key = ()) -> tuple[Row, ...] | None:
    return known(scene.session, Question(table, key))


def _today(scene: Scene) -> date:
    return local_date(scene.now, scene.centre.settings.timezone)


def _running(scene: Scene, table: str) -> list[Row]:
    """The rows of a table of campaigns that run today, the centre's day."""
    today = _today(scene)
    return [row for row in _rows(scene, table) or () if row["starts_on"] <= today <= row["ends_on"]]


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _says(said: str, word: str) -> bool:
    """Whether `said` holds this word; an English one as a whole, its plural included."""
    if word.isascii():
        return re.search(rf"(?<![a-z0-9]){re.escape(word.casefold())}(?:e?s)?(?![a-z0-9])", said.casefold()) is not None
    return word.casefold() in said.casefold()


def _longest(said: str, words: Iterable[str]) -> int:
    """The length of the longest of these words that `said` holds; 0 where it holds none."""
    return max((len(word) for word in words if _says(said, word)), default=0)


def find_products(said: str, rows: Iterable[Row]) -> list[Row]:
    """The products these words can mean: one where they are clear, several to ask about, none.

    A name or synonym that is said counts, the longest first; then names that hold what was said; then names nearly so.
    """
    said = said.strip()
    names = {row["product_no"]: (*_names(row), *row.get("words", ())) for row in rows}
    by_number = {row["product_no"]: row for row in rows}
    for number, row in by_number.items():
        if said.casefold() == number.casefold():
            return [row]
    spoken = {number: _longest(said, words) for number, words in names.items()}
    if best := max(spoken.values(), default=0):
        return [by_number[number] for number, length in spoken.items() if length == best]
    if len(said) >= SHORTEST:
        inside = [by_number[n] for n, words in names.items() if any(said.casefold() in w.casefold() for w in words)]
        if inside:
            return inside
    near = {
        n: max((fuzz.partial_ratio(w.casefold(), said.casefold()) for w in ws), default=0) for n, ws in names.items()
    }
    found = sorted((n for n, ratio in near.items() if ratio >= ALIKE), key=lambda n: -near[n])
    return [by_number[n] for n in found]


def _names(row: Row) -> tuple[str, ...]:
    return (row["name_zh"], row["name_en"])


# ── products ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def lookup_product(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The product the words name, else the one spoken of before; where several fit, the first ones to choose from."""
    rows = _rows(scene, "products")
    if rows is None:
        return {}
    language = scene.held.language
    found = find_products(str(args.get("product") or ""), rows)
    if not found and args.get("product_name"):
        found = [row for row in rows if args["product_name"] in _names(row)]
    if len(found) != 1:
        choices: dict[str, Any] = {}
        for n, row in enumerate(found[:CHOICES], start=1):
            choices |= {f"product_{n}": localised(row, "name", language), f"product_{n}_no": row["product_no"]}
        return {"product_found": False, **choices}
    row = found[0]
    related = next((each for each in rows if each["product_no"] == row.get("related")), None)
    told = {
        "product_found": True,
        "product_name": localised(row, "name", language),
        "stock_count": row.get("stock"),
        "variants_text": localised(row, "variants", language),
        "fabric_text": localised(row, "fabric", language),
        "make_text": localised(row, "make", language),
        "related_product": localised(related, "name", language) if related and related.get("stock") else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def size(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The size whose row holds this height and weight; the product's own rows go before those of no product."""
    rows, products = _rows(scene, "sizes"), _rows(scene, "products")
    height, weight = args.get("height"), args.get("weight")
    if not rows or height is None or weight is None:
        return {}
    named = str(args.get("product_name") or args.get("product") or "")
    about = {row["product_no"] for row in find_products(named, products or ())} if named else set()
    own = [row for row in rows if row.get("product_no") in about] if len(about) == 1 else []
    fits = [
        row["size"]
        for row in own or [row for row in rows if not row.get("product_no")]
        if row["height_from"] <= height <= row["height_to"] and row["weight_from"] <= weight <= row["weight_to"]
    ]
    return {"size_advice": text(scene.held.language, N_("或")).join(dict.fromkeys(fits))} if fits else {}


# ── offers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def promotion(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """What runs today; from which amount shipping is free, and what a basket still lacks (REQ-D20)."""
    if _rows(scene, "promotions") is None:
        return {}
    running = _running(scene, "promotions")
    if not running:
        return {"promotion_known": True}
    language = scene.held.language
    texts = [told for row in running if (told := localised(row, "text", language))]
    found: dict[str, Any] = {
        "promotion_known": True,
        "promotion_text": (" " if language is Language.EN else "").join(texts),
    }
    levels = [row["free_shipping_from"] for row in running if "free_shipping_from" in row]
    if levels:
        found["free_shipping_from"] = min(levels)
        if args.get("basket_amount") is not None:
            found["amount_missing"] = max(0.0, round(min(levels) - float(args["basket_amount"]), 2))
    return found


def coupon(scene: Scene, _args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Issues a coupon of the first running campaign whose limit this customer has not reached (REQ-D22).

    What was issued is kept here; a system that takes coupons is told, and nothing is promised unless it took it.
    """
    session, contact_id = scene.session, scene.held.contact_id
    for row in _running(scene, "coupons"):
        issued = _issued(scene, row["campaign"][:NAME])
        if issued >= row["per_customer"]:
            continue
        values = (("customer", _pseudonym(scene)), ("number", str(issued + 1)))
        done = changed(session, "coupons", (("campaign", row["campaign"]),), values)
        if done.outcome in (Outcome.REFUSED, Outcome.UNSURE):
            continue
        code = done.values.get("code") or row.get("code")
        session.add(
            Coupon(
                contact_id=contact_id,
                campaign=row["campaign"][:NAME],
                number=issued + 1,
                conversation_id=scene.held.id,
                code=(code or "")[:CODE],
                at=scene.now,
            )
        )
        session.flush()
        return {"coupon_text": _coupon_text(row, code, scene.held.language)}
    return {}


def _pseudonym(scene: Scene) -> str:
    """What a foreign system may know a customer by: the keyed index of their address, the same at every try of a turn
    (a number the database gives is not: the try that made it is rolled back) and nothing to call or write to."""
    return scene.session.scalars(select(Address.blind).where(Address.id == scene.held.address_id)).one()


def _issued(scene: Scene, campaign: str) -> int:
    """How many coupons of a campaign this person has, those of contacts merged into theirs included."""
    contact_id = scene.held.contact_id
    same = select(Contact.id).where(or_(Contact.id == contact_id, Contact.merged_into_id == contact_id))
    counted = select(func.count()).select_from(Coupon).where(Coupon.contact_id.in_(same), Coupon.campaign == campaign)
    return scene.session.scalar(counted) or 0


def _coupon_text(row: Row, code: str | None, language: Language) -> str:
    told = localised(row, "text", language) or ""
    if not code:
        return told
    return told + (" " if language is Language.EN else "") + text(language, N_("券码%(code)s。"), code=code)


# ── couriers and approved texts ──────────────────────────────────────────────────────────────────────────────────────


def delivery(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Courier and usual days to the city that is named; once a city was asked for, else those of everywhere else."""
    rows = _rows(scene, "couriers") or ()
    language, city = scene.held.language, args.get("city")
    said = str(city or args.get("about") or "")
    row = next((row for row in rows if _says(said, row["city_zh"]) or _says(said, row["city_en"])), None)
    if row is None and city:
        row = next((row for row in rows if row["city_zh"] == EVERYWHERE_ELSE), None)
    if row is None:
        return {}
    first, last = row["days_from"], row["days_to"]
    values = {"courier": localised(row, "courier", language), "first": first, "last": last}
    elsewhere = row["city_zh"] == EVERYWHERE_ELSE
    named = text(language, N_("其他城市")) if elsewhere else localised(row, "city", language)
    if first == last:
        told = text(language, N_("寄到%(city)s一般走%(courier)s，平时%(last)s天左右。"), city=named, **values)
    else:
        told = text(language, N_("寄到%(city)s一般走%(courier)s，平时%(first)s到%(last)s天。"), city=named, **values)
    return {"delivery_text": told}


def answer(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The approved text of a topic whose words are in what was asked, the longest word first; else the topic's general
    one, which has no words; else none."""
    rows = _rows(scene, "answers", (("topic", str(args.get("topic") or "")),)) or ()
    said = str(args.get("about") or "")
    fitting = [(_longest(said, row.get("words", ())), row) for row in rows]
    best = max(fitting, key=lambda pair: pair[0], default=(0, {}))
    row = best[1] if best[0] else next((row for row in rows if not row.get("words")), None)
    told = localised(row, "text", scene.held.language) if row else None
    return {"answer_text": told} if told else {}


ACTIONS: Mapping[str, Perform] = {
    "action_answer": answer,
    "action_lookup_product": lookup_product,
    "action_size": size,
    "action_promotion": promotion,
    "action_coupon": coupon,
    "action_delivery": delivery,
}
