"""Pulumi's passphrase format, held to values that Pulumi itself made."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from moltghost.engines.pulumi.passphrase import Keyring, WrongPassphrase, crypter_of, new_salt
from moltghost.errors import Refused

# Salts that the tests of pulumi/pulumi hold, with the passphrases that open them:
# pkg/secrets/passphrase/manager_test.go and pkg/backend/diy/backend_test.go at 1b5949891b3c.
VECTORS = [
    ("password", "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="),
    ("abc123", "v1:4iF78gb0nF0=:v1:Co6IbTWYs/UdrjgY:FSrAWOFZnj9ealCUDdJL7LrUKXX9BA=="),
]


@pytest.mark.parametrize(("passphrase", "salt"), VECTORS)
def test_a_salt_made_by_pulumi_opens_with_its_passphrase(passphrase: str, salt: str) -> None:
    crypter = crypter_of(passphrase, salt)

    assert crypter.decrypt(salt.split(":", 2)[2]) == "pulumi"
    with pytest.raises(WrongPassphrase):
        crypter_of(f"{passphrase}x", salt)


@pytest.mark.parametrize("salt", ["", "v2:AAAA:v1:AAAA:AAAA", "v1:!:v1:AAAA:AAAA", "v1:AAAA:x"])
def test_a_malformed_salt_is_told_from_a_right_one(salt: str) -> None:
    with pytest.raises(WrongPassphrase):
        crypter_of("password", salt)


def test_a_text_comes_back_and_keeps_its_ciphertext() -> None:
    salt = new_salt("secret")
    first = crypter_of("secret", salt)
    ciphertext = first.encrypt("text")

    second = crypter_of("secret", salt)

    assert ciphertext.startswith("v1:")
    assert second.decrypt(ciphertext) == "text"
    assert second.encrypt("text") == ciphertext
    assert first.encrypt("other") != ciphertext


def test_the_key_is_generated_private_and_the_derived_key_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    ciphertext = Keyring(path).crypter().encrypt("text")

    again = Keyring(path).crypter()

    assert again.decrypt(ciphertext) == "text"
    for file in (path, tmp_path / "key.derived"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / "key.derived").unlink()
    assert Keyring(path).crypter(again.salt).decrypt(ciphertext) == "text"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("passphrase")
    path.chmod(0o644)

    with pytest.raises(Refused, match=r"can be read by others.*\n.*chmod 600"):
        Keyring(path).crypter()


def test_a_lost_key_is_refused_and_not_replaced_silently(tmp_path: Path) -> None:
    salt = Keyring(tmp_path / "old").crypter().salt

    with pytest.raises(Refused, match=r"key .*new is missing"):
        Keyring(tmp_path / "new").crypter(salt)


def test_the_users_passphrase_opens_secure_values_of_a_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passphrase, salt = VECTORS[0]
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", passphrase)

    crypter = Keyring(tmp_path / "key").config_crypter(salt)

    assert crypter.decrypt(salt.split(":", 2)[2]) == "pulumi"
    assert not (tmp_path / "key").exists()
