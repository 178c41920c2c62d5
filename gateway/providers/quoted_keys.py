"""What of a refusal others than the operator may see: a provider may quote the key that it refuses.
Pure."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

from gateway.errors import Code, clean
from gateway.providers.refusals import Refusal

PART_CHARACTERS = 8
"""So much of a key in a row stands in no words by chance."""

_IDENTIFIER = re.compile(r"[\w.\-]{1,64}", re.ASCII)


def shown(outcome: Refusal, status: int, secret: str) -> tuple[str, str]:
    """Return the code and the words of a refusal that others than the operator may see.

    Who refuses the key `secret` may quote it cut, spaced or encoded, which no mask finds: those
    words are left out. With HTTP 200 a few say so in words of their own (Zhipu:
    令牌已过期), which are looked through instead.
    """
    code, words = clean(outcome.provider_code, secret), clean(outcome.message, secret)
    if outcome.code != Code.BAD_KEY and status not in (401, 403):
        return code, words
    if not _IDENTIFIER.fullmatch(code) or holds_part_of(secret, outcome.provider_code):
        code = ""
    left_out = outcome.code == Code.BAD_KEY and status != 200
    return code, "" if left_out or holds_part_of(secret, outcome.message) else words


def holds_part_of(secret: str, words: str) -> bool:
    """Return whether `words` hold PART_CHARACTERS of a secret in a row, plain or in hex, base64 or
    percent-encoding."""
    raw = secret.encode()
    # In base64 a text looks different by its place among three bytes; what stands before it is not
    # known.
    moved = (base64.b64encode(bytes(place) + raw).decode()[4:] for place in (1, 2))
    letters = _bare(unquote(words))
    forms = map(_bare, (secret, raw.hex(), base64.b64encode(raw).decode().rstrip("="), *moved))
    return any(form[at : at + PART_CHARACTERS] in letters for form in forms for at in _starts(form))


def _starts(form: str) -> range:
    return range(max(1, len(form) - PART_CHARACTERS + 1)) if form else range(0)


def _bare(text: str) -> str:
    """Return the letters and digits alone, so that what stands between them hides nothing."""
    return re.sub(r"[\W_]", "", text).lower()
