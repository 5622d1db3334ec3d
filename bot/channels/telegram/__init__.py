"""Telegram, by its Bot API: `channel` sends, `updates` reads what comes, `receiver` commits it before anything is
acknowledged, `polling` asks for it. aiogram stays in here."""
