"""What a Caddyfile lets through: to where, on which paths, and whether a token is asked for.

The grammar is that of Caddy 2 (caddyserver.com/docs/caddyfile/concepts), as far as it decides where
a request goes. What isn't understood never narrows: a matcher of another sort leaves every path
open.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

_FORWARDING = ("reverse_proxy", "php_fastcgi", "forward_proxy", "file_server")
_CHANGING = ("rewrite", "uri", "handle_path", "method", "request_header")
_MATCHED = (*_FORWARDING, *_CHANGING, "handle", "route", "handle_errors")
_DEEPEST = 20  # imports of imports


@dataclass(frozen=True)
class Directive:
    """One directive, or a site, with what is in its block."""

    words: tuple[str, ...]
    block: tuple[Directive, ...] = ()


@dataclass(frozen=True)
class Opening:
    """A way through: requests that reach an upstream."""

    site: str
    upstream: str
    paths: frozenset[str] | None = None
    """None for every path."""
    token: bool = False
    """Whether a bearer token is compared with one that isn't in the file."""
    changed: bool = False
    """Whether a request is rewritten on its way."""


@dataclass(frozen=True)
class _File:
    snippets: Mapping[str, Sequence[Directive]] = field(default_factory=dict)
    matchers: Mapping[str, Sequence[Directive]] = field(default_factory=dict)


def parse(text: str) -> tuple[Directive, ...]:
    """A Caddyfile as directives.

    Raises:
        ValueError: a brace or a quote is never closed.
    """
    rows = iter([row for row in map(_words, text.splitlines()) if row])
    return tuple(_block(rows, inner=False))


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="")
    lexer.whitespace_split = True
    lexer.quotes, lexer.escape = '"`', ""
    return list(lexer)


def _block(rows: Iterator[list[str]], *, inner: bool) -> Iterator[Directive]:
    for row in rows:
        if row == ["}"]:
            if not inner:
                raise ValueError("a } without its {")
            return
        if row[-1] == "{":
            yield Directive(tuple(row[:-1]), tuple(_block(rows, inner=True)))
        else:
            yield Directive(tuple(row))
    if inner:
        raise ValueError("a { without its }")


def options(directives: Sequence[Directive]) -> dict[str, tuple[str, ...]]:
    """The global options with their arguments."""
    top = next((each.block for each in directives if not each.words), ())
    return {each.words[0]: each.words[1:] for each in top}


def openings(directives: Sequence[Directive]) -> Iterator[Opening]:
    """Every way through."""
    snippets = {
        each.words[0].strip("()"): each.block
        for each in directives
        if each.words and each.words[0].startswith("(")
    }
    for site in directives:
        if site.words and not site.words[0].startswith("("):
            matchers = {
                each.words[0]: each.block or (Directive(each.words[1:]),)
                for each in site.block
                if each.words[0].startswith("@")
            }
            start = Opening(" ".join(site.words), "")
            yield from _through(site.block, start, _File(snippets, matchers), 0)


def _through(
    block: Sequence[Directive], way: Opening, file: _File, depth: int
) -> Iterator[Opening]:
    changed = way.changed or any(each.words[0] in _CHANGING for each in block)
    for each in block:
        name, arguments = each.words[0], each.words[1:]
        if name == "import" and arguments:
            if depth > _DEEPEST or arguments[0] not in file.snippets:
                yield replace(way, upstream=f"what {arguments[0]} imports", paths=None, token=False)
                continue
            inner = file.snippets[arguments[0]]
            yield from _through(inner, replace(way, changed=changed), file, depth + 1)
        elif name in _MATCHED:
            narrowed = replace(_narrowed(way, arguments, file), changed=changed)
            if name in _FORWARDING:
                to = [word for word in arguments if not word.startswith(("@", "/", "*"))]
                to += [
                    word
                    for inside in each.block
                    if inside.words[0] in ("to", "dynamic")
                    for word in inside.words[1:]
                ]
                yield replace(narrowed, upstream=" ".join(to) or name)
            else:
                yield from _through(each.block, narrowed, file, depth)


def _narrowed(way: Opening, arguments: Sequence[str], file: _File) -> Opening:
    """The way for the requests that a directive's matcher takes."""
    matcher = arguments[0] if arguments else "*"
    if matcher.startswith("/"):
        return replace(way, paths=frozenset([matcher]))
    for each in file.matchers.get(matcher, ()):
        if each.words[:1] == ("path",):
            way = replace(way, paths=frozenset(each.words[1:]))
        elif each.words[:2] == ("header", "Authorization") and len(each.words) > 2:
            # Without a placeholder it is no secret; with a * it is none either.
            value = each.words[2]
            asked = value.startswith(("Bearer {file.", "Bearer {env.", "Bearer {$"))
            way = replace(way, token=way.token or (asked and "*" not in value))
    return way
