"""Pulumi's passphrase format: AES-256-GCM under a key derived with PBKDF2.

Formats, from ``sdk/go/common/resource/config/crypt.go`` and ``pkg/secrets/passphrase/manager.go``:
a ciphertext is ``v1:<nonce>:<ciphertext and tag>``; a salt is ``v1:<salt>:<ciphertext of the word
"pulumi">``, which tells a wrong passphrase. All parts are standard base64.

The embedded engine's passphrase is generated, in a file of mode 0600 that holds nothing else, so
that ``PULUMI_CONFIG_PASSPHRASE_FILE`` can name it. Deriving a key takes a quarter of a second, so
derived keys are kept beside it in a file of the same mode, which may be deleted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moltghost.errors import Refused
from moltghost.files import create_private, read_private, write_private

_ITERATIONS = 1_000_000  # crypt.go, NewSymmetricCrypterFromPassphrase
_KEY_BYTES = 32
_NONCE_BYTES = 12
_SALT_BYTES = 8
_PROBE = "pulumi"  # what manager.go encrypts to recognise a wrong passphrase


class WrongPassphrase(Exception):
    """The passphrase doesn't open what it should."""


class Crypter:
    """Encrypts and decrypts the secrets of one salt.

    Equal plaintexts get the ciphertext that they had before, so that a checkpoint in which
    nothing changed is written unchanged.
    """

    def __init__(self, key: bytes, salt: str) -> None:
        self._aes = AESGCM(key)
        self.salt = salt
        self._ciphertexts: dict[str, str] = {}

    def encrypt(self, text: str) -> str:
        """``v1:<nonce>:<ciphertext>`` of the text."""
        if text not in self._ciphertexts:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            sealed = self._aes.encrypt(nonce, text.encode(), None)
            self._ciphertexts[text] = f"v1:{_base64(nonce)}:{_base64(sealed)}"
        return self._ciphertexts[text]

    def decrypt(self, ciphertext: str) -> str:
        """The text of a ciphertext.

        Raises:
            WrongPassphrase: the ciphertext was made with another key, or is damaged.
        """
        version, _, rest = ciphertext.partition(":")
        nonce, _, sealed = rest.partition(":")
        if version != "v1":
            raise WrongPassphrase
        try:
            opened = self._aes.decrypt(
                base64.b64decode(nonce, validate=True),
                base64.b64decode(sealed, validate=True),
                None,
            )
        except (InvalidTag, ValueError) as error:
            raise WrongPassphrase from error
        text = opened.decode()
        self._ciphertexts[text] = ciphertext
        return text


def derive_key(passphrase: str, salt: bytes) -> bytes:
    """The AES key of a passphrase; takes about a quarter of a second by intent."""
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ITERATIONS, _KEY_BYTES)


def new_salt(passphrase: str) -> str:
    """A new salt with its probe, as ``encryptionsalt`` of a stack's file holds it."""
    salt = secrets.token_bytes(_SALT_BYTES)
    probe = Crypter(derive_key(passphrase, salt), "").encrypt(_PROBE)
    return f"v1:{_base64(salt)}:{probe}"


def crypter_of(passphrase: str, salt: str) -> Crypter:
    """The crypter of a passphrase and a salt (``v1:<salt>:<probe>``).

    Raises:
        WrongPassphrase: the salt belongs to another passphrase, or is malformed.
    """
    return _checked(derive_key(passphrase, _raw_salt(salt)), salt)


def _raw_salt(salt: str) -> bytes:
    version, _, rest = salt.partition(":")
    if version != "v1":
        raise WrongPassphrase
    try:
        return base64.b64decode(rest.partition(":")[0], validate=True)
    except binascii.Error as error:
        raise WrongPassphrase from error


def _checked(key: bytes, salt: str) -> Crypter:
    crypter = Crypter(key, salt)
    if crypter.decrypt(salt.split(":", 2)[2]) != _PROBE:
        raise WrongPassphrase
    return crypter


class Keyring:
    """The engine's passphrase and the crypters made from it.

    Args:
        path: the file of the passphrase; generated on first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._derived = path.with_name(f"{path.name}.derived")
        self._crypters: dict[str, Crypter] = {}

    def crypter(self, salt: str | None = None) -> Crypter:
        """The crypter of a salt, or of the installation's own salt.

        Raises:
            Refused: the key is missing or isn't the one that the salt was made with.
        """
        if salt and not self._path.exists():
            raise Refused(
                f"the key {self._path} is missing, and there are secrets that only it opens",
                "restore the file from a backup; without it, moltghost local down removes the "
                "embedded cluster with its stacks",
            )
        keys = self._derived_keys()
        salt = salt or next(iter(keys), None) or new_salt(self.passphrase())
        if salt not in self._crypters:
            self._crypters[salt] = self._open(salt, keys)
        return self._crypters[salt]

    def config_crypter(self, salt: str) -> Crypter:
        """The crypter for ``secure:`` values of a stack file with this ``encryptionsalt``.

        The user's own passphrase comes first, from ``PULUMI_CONFIG_PASSPHRASE`` or the file that
        ``PULUMI_CONFIG_PASSPHRASE_FILE`` names, then the engine's.

        Raises:
            Refused: neither opens it.
        """
        for passphrase in _passphrases_of_user():
            try:
                return crypter_of(passphrase, salt)
            except WrongPassphrase:
                continue
        return self.crypter(salt)

    def passphrase(self) -> str:
        """The passphrase, generated if there is none.

        Raises:
            Refused: the file can be read by others.
        """
        if not self._path.exists():
            create_private(self._path, secrets.token_urlsafe(_KEY_BYTES))
        return read_private(self._path).strip()

    def _open(self, salt: str, keys: dict[str, str]) -> Crypter:
        try:
            if salt in keys:
                return _checked(bytes.fromhex(keys[salt]), salt)
            key = derive_key(self.passphrase(), _raw_salt(salt))
            crypter = _checked(key, salt)
        except (WrongPassphrase, IndexError):
            raise Refused(
                f"the key in {self._path} doesn't open these secrets",
                "restore the key that they were written with; for values of a stack file, "
                "PULUMI_CONFIG_PASSPHRASE may be theirs",
            ) from None
        with suppress(OSError):  # it only saves time, and a full disk is no reason not to read
            write_private(self._derived, json.dumps({**keys, salt: key.hex()}), durable=True)
        return crypter

    def _derived_keys(self) -> dict[str, str]:
        if not (self._path.exists() and self._derived.exists()):
            return {}
        keys: dict[str, str] = json.loads(read_private(self._derived))
        return keys


def _passphrases_of_user() -> list[str]:
    found = []
    if (phrase := os.environ.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        found.append(phrase)
    if file := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        found.append(Path(file).read_text().strip())
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
