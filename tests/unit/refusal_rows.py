"""Every refusal that the reader is tried on: what was sent, and who must act."""

from __future__ import annotations

from tests.unit.refusals_china import CHINA
from tests.unit.refusals_dialects import DIALECTS
from tests.unit.refusals_hosted import HOSTED
from tests.unit.refusals_west import WEST
from tests.unit.refusals_words import INNOCENT, WORDS
from tests.unit.rows import Row

REFUSALS: tuple[Row, ...] = (*CHINA, *WEST, *HOSTED, *DIALECTS, *WORDS, *INNOCENT)
