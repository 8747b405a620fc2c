"""How an invoice number is written."""

from __future__ import annotations


def number_text(number: int) -> str:
    """42 -> `INV-000042`; longer numbers simply get longer, and the texts sort as the numbers up to a million."""
    return f"INV-{number:06d}"
