"""Terms survive being frozen: what an invoice keeps of them leads back to equal terms."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.contracts.frozen import terms_from_json, terms_to_json
from app.core.period import Frequency, Period, StatementDay, StatementSchedule
from app.core.terms import Terms
from tests.core.agreements import AGREED, CALLS, A, by_region, day

BY_REGION = replace(CALLS, pricing_group_key=("region",), presentation_group_key=("team",), tags=("core", "paid"))


@pytest.mark.parametrize(
    "terms",
    [
        AGREED,
        replace(
            AGREED, rates=(), products=(), period=Period(day("01-01"), None), product_order=(A, by_region("eu")[0])
        ),
        replace(AGREED, products=(BY_REGION,)),
        replace(
            AGREED,
            schedule=StatementSchedule(
                Frequency.QUARTERLY, StatementDay.CUSTOM_DATE, anchor=day("01-31T05:00:00"), generate_from=day("02-03")
            ),
        ),
    ],
)
def test_the_way_back_gives_equal_terms(terms: Terms) -> None:
    assert terms_from_json(json.loads(json.dumps(terms_to_json(terms)))) == terms
