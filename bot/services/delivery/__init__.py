"""The outbox and what drives it: claimed, paced, sent, settled."""
