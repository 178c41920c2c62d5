"""What the providers share, one purpose a file. Imports point one way (tests/test_house.py)."""

__version__ = "1.0.0"
"""As in pyproject.toml and CHANGELOG.md; tests/test_house.py compares them."""
