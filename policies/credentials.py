"""What looks like a credential, in a text or as the value of a name.

The detectors are those of bc-detect-secrets (Apache-2.0, the detector of checkov), which knows
tokens by their form and variables by their names. Three things are our own: forms that it lacks,
passwords in URLs, for which it takes the digest of an image too, and what a name like a
credential's may hold without being one, such as MAX_TOKENS, EOS_TOKEN or a path.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

DETECTOR = "bc-detect-secrets 1.5.52"
_PLUGINS = {
    "aws": "AWSKeyDetector",
    "github_token": "GitHubTokenDetector",
    "jwt": "JwtTokenDetector",
    "npm": "NpmDetector",
    "private_key": "PrivateKeyDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
}
# Forms that it lacks: GitHub's and GitLab's newer tokens, Google, Hugging Face, Slack apps,
# Anthropic, OpenAI, NVIDIA, Docker Hub, PyPI, a bearer header, a private key on one line.
_OWN_FORMS = re.compile(
    r"github_pat_\w{22,}|gl(?:pat|dt|rt|ptt)-[\w-]{20,}|AIza[\w-]{35}|ya29\.[\w-]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|xapp-[\w-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{32,}|nvapi-[\w-]{40,}|dckr_pat_[\w-]{20,}"
    r"|pypi-AgE[\w-]{40,}|[Bb]earer +[A-Za-z0-9_.~+/-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_URL_PASSWORD = re.compile(r"\w://[^/\s:@{}\"']*:([^/\s@{}\"'$]+)@")
_NAMED = re.compile(r"(?i)credential|passphrase|passwort|(^|[_-])pass$|^pgpass$")
# Names that speak of a credential or of a model's tokens, and hold none.
_NO_CREDENTIAL = re.compile(
    r"(?i)tokeni[sz]|cluster_token$|tokens(_|$|[a-z])|(^|_)(max|min|num|n|total)_?\w*tokens?$"
    r"|(^|_)(bos|eos|pad|unk|sep|cls|mask|stop|start|end|image|audio|special|think\w*)_token(_|$)"
    r"|[_-]?(file|path|dir|ur[li]|endpoint|name|ttl|length|len|header|type|id|arn|algorithm|count"
    r"|limit|expiry|seconds|policy|ref|mode|enabled|issuer|audience|namespace|store|class|provider"
    r"|bucket|size|budget|window|host|port|user|username|key_id)s?$"
)
# What stands for a value without being one: ${VAR}, $(VAR), {file...}, <special>, [EOS], a path,
# a switch, an address without a password, a word that says that there is none.
_REFERENCE = re.compile(
    r"(?is)^(\s*|[$<{\[%/].*|\w+://[^@]*|true|false|yes|no|on|off|none|null|nil|unset|empty|disabled"
    r"|dummy|placeholder|(insert|your|replace_with)[-_][\w-]+|not[-_ ]?(needed|used|set|required)"
    r"|x+|\*+)$"
)
# A public key and a hash are there to be seen.
_PUBLIC = re.compile(r"(?i)^(ssh-\w+ |ecdsa-|-----BEGIN (PUBLIC KEY|CERTIFICATE)|sha\d+[:-])")
_PAIR = re.compile(r"(?:^|[\s;&|'\"])-{0,2}([A-Za-z][\w.-]*)=('[^']*'|\"[^\"]*\"|[^\s;&|]+)")
_OPTION = re.compile(r"^--?([A-Za-z][\w-]+)$")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_LONGEST_LINE = 4000


def has_credential(text: str) -> bool:
    """Whether a text holds a credential: by its form, in a URL, in base64, or as NAME=VALUE."""
    return any(map(_in_line, _lines(text))) or any(map(_in_encoded, _BASE64.findall(text)))


def is_credential(name: str, value: str) -> bool:
    """Whether a value is the credential that its name speaks of."""
    text = value.strip().strip("'\"")
    if _NO_CREDENTIAL.search(name) or _REFERENCE.match(text) or _PUBLIC.match(text):
        return False
    return bool(_NAMED.search(name)) or _keyword(f'{name} = "{_quotable(text)}"')


def in_arguments(arguments: list[str]) -> bool:
    """Whether a command has a credential: in a word, or as the word after an option."""
    pairs = pairwise(arguments)
    return any(map(has_credential, arguments)) or any(
        is_credential(found[1].replace("-", "_"), value)
        for option, value in pairs
        if (found := _OPTION.match(option)) and not value.startswith("-")
    )


def decoded(text: str) -> str:
    """What base64 stands for; empty if it is no base64 of a text."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _in_line(line: str) -> bool:
    return (
        _known_form(line)
        or bool(_URL_PASSWORD.search(line))
        or any(is_credential(name, value) for name, value in _PAIR.findall(line))
        or _in_json_or_yaml(line)
    )


_ENTRY = re.compile(r"""^\s*[-\s]*["']?([A-Za-z][\w.-]*)["']?\s*:\s+(".*?"|'.*?'|\S+)\s*,?\s*$""")


def _in_json_or_yaml(line: str) -> bool:
    """A line ``name: value`` of YAML or JSON."""
    found = _ENTRY.match(line)
    return bool(found) and is_credential(found[1], found[2])  # type: ignore[index]


def _in_encoded(text: str) -> bool:
    inner = decoded(text)
    return bool(inner) and any(map(_known_form, _lines(inner)))


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for start in range(0, len(line), _LONGEST_LINE):
            yield line[start : start + _LONGEST_LINE]


def _known_form(line: str) -> bool:
    if _OWN_FORMS.search(line):
        return True
    return any(next(iter(find(line)), None) is not None for find in _finders())


@cache
def _finders() -> tuple[Callable[[str], Any], ...]:
    """The detectors, loaded when there is something to look at: it takes longer than the pack."""
    return tuple(
        getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)().analyze_string
        for module, name in _PLUGINS.items()
    )


@cache
def _keywords() -> Callable[[str], Any]:
    from detect_secrets.plugins.keyword import KeywordDetector

    return KeywordDetector().analyze_string


def _keyword(line: str) -> bool:
    return next(iter(_keywords()(line)), None) is not None


def _quotable(value: str) -> str:
    """A value that can stand between quotes; only whether there is one matters."""
    return value.replace('"', "_").replace("'", "_").replace("\n", "_")
