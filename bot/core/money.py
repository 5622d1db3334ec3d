"""Amounts as people write them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MOST = Decimal(10) ** 10


def hundredths(written: str) -> int:
    """An amount in hundredths of its currency. Raises ValueError where it is none, is nothing, or is too much.

    >>> hundredths("1,200.50"), hundredths("－3")
    (120050, -300)
    """
    try:
        amount = Decimal(written.strip().replace(",", "").replace("，", "").replace("－", "-"))
    except InvalidOperation:
        raise ValueError(written) from None
    if not amount.is_finite() or not amount or abs(amount) >= MOST or amount != round(amount, 2):
        raise ValueError(written)
    return int(amount * 100)


def shown(hundredths: int) -> str:
    """
    >>> shown(120050)
    '1,200.50'
    """
    return f"{Decimal(hundredths).scaleb(-2):,.2f}"
