"""The gateway, in rooms: docs/architecture.md says what each is for."""

__version__ = "1.0.0"
"""As in pyproject.toml and CHANGELOG.md; tests/unit/test_house.py compares them."""
