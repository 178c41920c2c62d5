"""What is wrong with a table."""

from __future__ import annotations


class TableError(Exception):
    """Why a file cannot be read or written as a table, for the person whose file it is, in English
    and in Chinese."""

    def __init__(self, detail: str, detail_zh: str) -> None:
        super().__init__(detail)
        self.detail, self.detail_zh = detail, detail_zh
