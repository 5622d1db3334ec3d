"""The warranty table D.3: every line, its blanks, and the fee."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.policy import Warranty
from bot.core.warranty import (
    Claim,
    Granted,
    Item,
    Paper,
    Reason,
    Refused,
    Ruling,
    Unset,
    Wish,
    card_matters,
    charged,
    decide,
    depreciation,
)

LIMITS = Warranty(
    refund_days=7,
    exchange_days=15,
    free_exchange_days=30,
    depreciation_after_days=7,
    depreciation_per_mille=Decimal("1.5"),
    replacement_days=5,
    headset_months=3,
    battery_months=6,
    charger_months=12,
    accessory_months=3,
    repeat_repairs=2,
)
BLANKS = tuple(f.name for f in fields(Warranty) if f.name not in ("accessory_months", "repeat_repairs"))
BLANK = replace(LIMITS, **dict.fromkeys(BLANKS))
REPORT, CARD = (Paper.TEST_REPORT,), (Paper.CARD, Paper.INVOICE)
LATE = Refused(Reason.TOO_LATE)


@pytest.mark.parametrize(
    ("claim", "refund", "exchange", "repair"),
    [
        (Claim(0), Granted("三包1", REPORT), Granted("三包1", REPORT), Granted("三包1", REPORT)),
        (Claim(7), Granted("三包1", REPORT), Granted("三包1", REPORT), Granted("三包1", REPORT)),
        (Claim(8), LATE, Granted("三包2", REPORT), Granted("三包2", REPORT)),
        (Claim(15), LATE, Granted("三包2", REPORT), Granted("三包2", REPORT)),
        (Claim(16), LATE, Granted("保修条例1", (Paper.MAKER_REPORT, Paper.BOX)), Granted("三包3", CARD)),
        (Claim(31), LATE, LATE, Granted("三包3", CARD)),
        (Claim(365), LATE, LATE, Granted("三包3", CARD)),
        (Claim(366), LATE, LATE, LATE),
        (Claim(200, repairs=1), LATE, LATE, Granted("三包3", CARD)),
        (Claim(200, repairs=2), Granted("三包4", REPORT), Granted("三包4", REPORT), Granted("三包3", CARD)),
        (Claim(366, repairs=5), LATE, LATE, LATE),
        (Claim(400, card_months=24), LATE, LATE, Granted("三包3", CARD)),
        (Claim(200, card_months=6), LATE, LATE, LATE),
    ],
    ids=lambda value: f"day {value.days}, {value.repairs} repairs" if isinstance(value, Claim) else "",
)
def test_the_device(claim: Claim, refund: Ruling, exchange: Ruling, repair: Ruling) -> None:
    assert decide(claim, LIMITS) == {Wish.REFUND: refund, Wish.EXCHANGE: exchange, Wish.REPAIR: repair}


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (Claim(1, user_caused=True), Reason.USER_CAUSED),
        (Claim(1, item=Item.GIFT), Reason.GIFT),
        (Claim(1, item=Item.EXCLUDED), Reason.EXCLUDED),
    ],
)
def test_what_is_never_covered_needs_no_limit(claim: Claim, reason: Reason) -> None:
    assert set(decide(claim, BLANK).values()) == {Refused(reason)}


def test_damage_bars_only_the_exchange() -> None:
    verdict = decide(Claim(3, damaged=True), LIMITS)
    assert verdict[Wish.EXCHANGE] == Refused(Reason.DAMAGED)
    assert isinstance(verdict[Wish.REFUND], Granted)


@pytest.mark.parametrize(
    ("item", "last"), [(Item.HEADSET, 92), (Item.BATTERY, 183), (Item.CHARGER, 365), (Item.ACCESSORY, 92)]
)
def test_parts_have_their_own_months(item: Item, last: int) -> None:
    assert isinstance(decide(Claim(last, item=item), LIMITS)[Wish.REPAIR], Granted)
    assert decide(Claim(last + 1, item=item), LIMITS)[Wish.REPAIR] == LATE
    assert decide(Claim(1, item=item), LIMITS)[Wish.REFUND] == Refused(Reason.EXCLUDED)
    assert isinstance(decide(Claim(last + 1, item=item, card_months=24), LIMITS)[Wish.EXCHANGE], Granted)


@pytest.mark.parametrize(
    ("claim", "wish", "limit"),
    [
        (Claim(3), Wish.REFUND, "refund_days"),
        (Claim(3), Wish.EXCHANGE, "refund_days"),
        (Claim(3, item=Item.HEADSET), Wish.REPAIR, "headset_months"),
        (Claim(3, item=Item.BATTERY), Wish.EXCHANGE, "battery_months"),
        (Claim(3, item=Item.CHARGER), Wish.REPAIR, "charger_months"),
    ],
)
def test_a_blank_is_named_and_never_guessed(claim: Claim, wish: Wish, limit: str) -> None:
    assert decide(claim, BLANK)[wish] == Unset(limit)


def test_what_a_blank_cannot_change_is_decided_all_the_same() -> None:
    assert isinstance(
        decide(Claim(100), BLANK)[Wish.REPAIR], Granted
    )  # repair within the year is the seed's own figure
    assert isinstance(decide(Claim(100, repairs=2), BLANK)[Wish.EXCHANGE], Granted)
    assert decide(Claim(366), BLANK)[Wish.REFUND] == LATE


def test_the_card_is_asked_for_only_where_it_may_matter() -> None:
    assert card_matters(Claim(366))
    assert card_matters(Claim(10, item=Item.BATTERY))
    assert not card_matters(Claim(300))
    assert not card_matters(Claim(366, card_months=12))
    assert not card_matters(Claim(366, user_caused=True))


@pytest.mark.parametrize(
    ("claim", "carries"),
    [(Claim(7), False), (Claim(8), True), (Claim(3, repairs=2), True)],
    ids=["until N3", "after N3", "repaired twice"],
)
def test_when_a_refund_carries_depreciation(claim: Claim, carries: bool) -> None:
    assert charged(claim, LIMITS) is carries


def test_the_fee_shows_its_inputs() -> None:
    fee = depreciation(Claim(42, repair_days=3, price=Decimal(1999)), LIMITS)
    assert not isinstance(fee, Unset)
    assert (fee.amount, fee.counted, fee.per_mille) == (Decimal("116.94"), 39, Decimal("1.5"))


def test_a_fee_without_its_figures_is_unset() -> None:
    assert depreciation(Claim(42, price=Decimal(1999)), BLANK) == Unset("depreciation_per_mille")
    assert charged(Claim(42), BLANK) == Unset("depreciation_after_days")


limits = st.builds(
    Warranty,
    refund_days=st.none() | st.integers(0, 30),
    exchange_days=st.none() | st.integers(30, 60),
    free_exchange_days=st.none() | st.integers(0, 365),
    depreciation_after_days=st.none() | st.integers(0, 365),
    depreciation_per_mille=st.none() | st.decimals(0, 100, places=2),
    replacement_days=st.none() | st.integers(0, 60),
    headset_months=st.none() | st.integers(0, 24),
    battery_months=st.none() | st.integers(0, 24),
    charger_months=st.none() | st.integers(0, 24),
    accessory_months=st.integers(0, 24),
    repeat_repairs=st.integers(1, 5),
)
claims = st.builds(
    Claim,
    days=st.integers(0, 1000),
    item=st.sampled_from(Item),
    user_caused=st.booleans(),
    damaged=st.none() | st.booleans(),
    repairs=st.integers(0, 6),
    repair_days=st.integers(0, 1200),
    price=st.decimals(0, 100_000, places=2),
    card_months=st.none() | st.integers(0, 60),
)


@given(claims, limits)
def test_a_fee_lies_between_nothing_and_the_price(claim: Claim, limits: Warranty) -> None:
    fee = depreciation(claim, limits)
    if not isinstance(fee, Unset):
        assert claim.price is not None
        assert 0 <= fee.amount <= claim.price


@given(claims, limits, st.sampled_from(BLANKS), st.integers(0, 365))
def test_filling_a_blank_never_changes_what_was_decided(
    claim: Claim, limits: Warranty, blank: str, figure: int
) -> None:
    before = decide(claim, replace(limits, **{blank: None}))
    after = decide(claim, replace(limits, **{blank: figure}))
    for wish, ruling in before.items():
        if isinstance(ruling, Refused):
            assert after[wish] == ruling
        if isinstance(ruling, Granted):
            assert isinstance(after[wish], Granted)


@given(claims, limits)
def test_a_later_day_never_allows_more(claim: Claim, limits: Warranty) -> None:
    later = decide(replace(claim, days=claim.days + 1), limits)
    for wish, ruling in decide(claim, limits).items():
        if isinstance(ruling, Refused):
            assert isinstance(later[wish], Refused)
