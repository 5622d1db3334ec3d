"""The table of actions: what a flow may ask the services to do, what it hands over, and which slots come back.

A flow's step gives arguments under `args:`; one that is not given is taken from the slot, else the context value, of
the same name. scripts/README.md explains each action to operators; a test holds the two tables together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Action:
    """`ends`: the conversation is given away (to people, or closed), so nothing interrupted is returned to. `commits`:
    somebody may act on it at once, so a correction no longer goes back before it; everything else may be done again.
    """

    args: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    ends: bool = False
    commits: bool = False
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the values an argument may take


STOP_SCOPES = ("all", "calls", "sms", "follow_up", "marketing")
"""What a customer may no longer want (INT-07): follow-ups and promotions everywhere, by telephone, by text message, or
one of the two. Never what they asked for, what concerns their own order or outage, or an emergency (the gate's table).
"""

ACTIONS: Mapping[str, Action] = {
    # cases and people
    "action_open_case": Action(("kind", "queue", "urgency", "subject"), ("case_number", "case_due"), commits=True),
    "action_handoff": Action(("reason", "urgency"), ("queue_position", "wait_minutes"), ends=True, commits=True),
    "action_red_flag": Action(("subject",), ("case_number",), commits=True),
    "action_case_status": Action(
        ("case_number",),
        ("case_found", "case_number", "case_state_text", "case_owner", "case_due", "case_overdue", "visit_at"),
    ),
    "action_add_note": Action(("case_number", "text")),
    "action_rate": Action(("score", "comment"), commits=True),
    "action_close": Action(ends=True, commits=True),
    # the contact
    "action_set_contact": Action(("name", "phone", "unit", "title")),
    "action_stop_contact": Action(("scope",), commits=True, choices={"scope": STOP_SCOPES}),
    # callbacks and follow-ups
    "action_book_callback": Action(
        ("phone", "preferred_time", "topic"), ("callback_at", "callback_ok", "callback_problem"), commits=True
    ),
    "action_offer_slots": Action((), ("slot_1", "slot_2", "slot_1_at", "slot_2_at")),
    "action_record_answer": Action(("question", "answer")),
    "action_disposition": Action(("code",), commits=True),
    # incidents and broadcasts
    "action_find_incident": Action(
        ("unit", "about"), ("incident_open", "incident_text", "incident_eta", "incident_cause")
    ),
    "action_notify_when_over": Action(("unit", "phone"), commits=True),
    "action_acknowledge": Action((), ("announcements_known", "announcements_waiting"), commits=True),
    # facts: what the operator's own data say; a result left out is not known, and the flow says so
    "action_service_hours": Action((), ("hours_text", "hours_open")),
    "action_answer": Action(("topic", "about"), ("answer_text",)),
    "action_lookup_order": Action(
        ("order_no", "phone_tail"),
        (
            "order_found",
            "order_check",
            "order_no",
            "order_state_text",
            "order_dispatched",
            "order_address",
            "tracking_text",
            "tracking_stalled",
        ),
    ),
    "action_change_order": Action(
        ("order_no", "phone_tail", "change", "value"), ("change_ok", "change_problem", "change_case"), commits=True
    ),
    "action_lookup_product": Action(
        ("product", "product_name"),
        (
            "product_found",
            "product_name",
            "stock_count",
            "variants_text",
            "fabric_text",
            "make_text",
            "related_product",
            "product_1",
            "product_2",
            "product_3",
            "product_1_no",
            "product_2_no",
            "product_3_no",
        ),
    ),
    "action_size": Action(("product", "product_name", "height", "weight"), ("size_advice",)),
    "action_promotion": Action(
        ("basket_amount",), ("promotion_known", "promotion_text", "free_shipping_from", "amount_missing")
    ),
    "action_coupon": Action((), ("coupon_text",), commits=True),
    "action_delivery": Action(("city", "about"), ("delivery_text",)),
    "action_warranty": Action(
        (
            "wish",
            "purchase_date",
            "user_caused",
            "appearance_ok",
            "repair_count",
            "repair_days",
            "unit_price",
            "warranty_item",
            "card_months",
            "card_asked",
        ),
        (
            "warranty_known",
            "warranty_wants",
            "warranty_allowed",
            "warranty_text",
            "warranty_papers",
            "warranty_fee",
            "warranty_fee_text",
        ),
    ),
    "action_book_visit": Action(
        ("unit", "preferred_time", "product"),
        ("visit_ok", "visit_at", "visit_problem", "case_number", "slot_1", "slot_2", "slot_1_at", "slot_2_at"),
        commits=True,
    ),
    "action_move_visit": Action(
        ("change", "preferred_time"),
        (
            "visit_found",
            "visit_ok",
            "visit_at",
            "visit_problem",
            "case_number",
            "slot_1",
            "slot_2",
            "slot_1_at",
            "slot_2_at",
        ),
        commits=True,
    ),
    "action_subscribe": Action(("scope",), commits=True),
}

CONTEXT: Mapping[str, str] = {
    "channel": "webchat, rest, telegram, sms or voice",
    "language": "zh or en",
    "outbound": "true while we are the ones who called",
    "people_open": "in pattern_holding: true while somebody who answers is online",
    "broadcast": "the announcement that brought the customer here, if one did",
    "campaign": "what the link said that brought the customer here (Telegram: /start <campaign>)",
    "company": "the organisation's name",
    "bot_name": "the bot's name",
    "hotline": "the telephone number people may call, where there is one",
    "name": "the contact's name",
    "title": "how the contact is addressed: 王女士, Mr Lee",
    "phone": "the contact's number",
    "unit": "the contact's building, entrance and flat",
    "segment": "the contact's segment, such as key_account",
    "visit_day": "the day of the visit a follow-up is about, as people say it",
    "case_subject": "what the case of an after-complaint call was about",
    "attempt": "which attempt of a call this is, from 1",
    "not_understood_limit": "policy: messages in a row not understood before a person is called",
    "understand": "policy: a meaning less sure than this was not understood, 0 to 1",
    "clarify_margin": "policy: meanings closer than this are put to the customer",
}
"""What the services may tell the engine about the conversation; any key may be missing, and is null then."""
