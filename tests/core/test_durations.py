"""Durations: the form that is read, and what is none."""

from __future__ import annotations

import pytest

from app.core.durations import Duration, duration_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P7D", Duration("P7D", False)),
        ("-P7D", Duration("P7D", True)),
        ("P3DT12H", Duration("P3DT12H", False)),
        ("PT1H", Duration("PT1H", False)),
        ("-P1Y2M3W4DT5H", Duration("P1Y2M3W4DT5H", True)),
        *(
            (text, None)
            for text in ("", "P", "PT", "P0D", "-PT0H", "7D", "+P7D", "P7", "P1.5D", "PT1M", "P-7D", "P1D2M")
        ),
        *((text, None) for text in ("P100Y", "P7D ", "p7d", "--P7D", "P٣D")),
    ],
)
def test_the_form(text: str, expected: Duration | None) -> None:
    assert duration_of(text) == expected
