"""Files as a person's hands give them to a page: pasted, or dropped on a place of it."""

from __future__ import annotations

from playwright.sync_api import JSHandle, Locator, Page

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8ffff3f0005fe02fea73581"
    "e40000000049454e44ae426082"
)
HELD = """([bytes, name, type]) => {
  const held = new DataTransfer();
  held.items.add(new File([new Uint8Array(bytes)], name, { type }));
  return held;
}"""
PASTE = """held => document.activeElement.dispatchEvent(
  new ClipboardEvent("paste", { clipboardData: held, bubbles: true, cancelable: true }))"""


def paste(page: Page, content: bytes, name: str, mime: str) -> None:
    """Where the caret is."""
    _held(page, content, name, mime).evaluate(PASTE)


def drag(onto: Locator, content: bytes, name: str, mime: str) -> None:
    """Over a place, and not yet let go."""
    onto.dispatch_event("dragover", {"dataTransfer": _held(onto.page, content, name, mime)})


def drop(onto: Locator, content: bytes, name: str, mime: str) -> None:
    """Let go over a place."""
    onto.dispatch_event("drop", {"dataTransfer": _held(onto.page, content, name, mime)})


def _held(page: Page, content: bytes, name: str, mime: str) -> JSHandle:
    return page.evaluate_handle(HELD, [list(content), name, mime])
