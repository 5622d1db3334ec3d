"""Phone numbers and addresses at rest: encrypted, found by a keyed blind index (REQ-G14).

Two keys are derived from the installation's one secret (HKDF-SHA256), so that the index cannot be used to decrypt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE = 12


class WrongSecretError(Exception):
    """A sealed value cannot be opened: the installation's secret is not the one it was sealed with."""


class Vault:
    """Seals and opens short texts; `blind` gives the same 43 characters for the same text and space, and only here."""

    def __init__(self, secret: str) -> None:
        self._cipher = AESGCM(self._derive(secret, b"hotline seal"))
        self._index = self._derive(secret, b"hotline blind index")

    @staticmethod
    def _derive(secret: str, purpose: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())

    def seal(self, value: str) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, value.encode(), None)

    def open(self, sealed: bytes) -> str:
        """Raises WrongSecretError when the value was sealed with another secret or was damaged."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], None).decode()
        except InvalidTag as error:
            raise WrongSecretError("HOTLINE_SECRET does not open the stored addresses") from error

    def blind(self, space: str, value: str) -> str:
        digest = hmac.new(self._index, f"{space}\x00{value}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
