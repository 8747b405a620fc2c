"""Products that are renamed or get other tags: from that hour on, and never for what was before."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from app.core.money import canonical
from app.core.period import SINCE_EVER, Period
from app.core.quantities import UsageKey
from app.core.rates import Percentage
from app.core.rating import rate_statement
from app.core.terms import Composite, Multiplier, Naming, Override, Product, ProductType, Specifier
from tests.core.agreements import CALLS, DATA, JANUARY, A, B, D, day, entry, flat, product, terms, used


def renamed(base: Product, *namings: tuple[str, str, tuple[str, ...]]) -> Product:
    return replace(base, namings=tuple(Naming(day(start), name, tags) for start, name, tags in namings))


def lines(*products: Product, overrides: tuple[Override, ...] = (), last: Percentage | None = None) -> list[str]:
    """Name, first day and amount of each line, for 10 calls on the 5th, 10 on the 15th, and 1 of data on the 5th."""
    rates = [entry(1, flat("2")), entry(2, flat("100"), product_id=B)]
    if last is not None:
        rates.append(entry(3, last, product_id=UUID(int=9)))
    agreed = replace(terms(*rates, products=products), overrides=overrides)
    usage = {UsageKey(A): used(d5="10", d15="10"), UsageKey(B): used(d5="1")}
    return [
        f"{line.product_name} {line.starting_at:%d} {canonical(line.amount)}"
        for line in rate_statement(agreed, JANUARY, usage).lines
    ]


def test_a_line_has_the_name_that_holds_when_it_begins() -> None:
    assert lines(renamed(CALLS, ("01-10", "requests", ())), DATA) == ["data 01 100", "calls 01 20", "requests 10 20"]


def test_lines_of_a_product_stand_together_by_its_name_at_the_end() -> None:
    found = lines(renamed(CALLS, ("01-10", "aaa", ()), ("02-01", "zzz", ())), DATA)
    assert found == ["calls 01 20", "aaa 10 20", "data 01 100"]


def test_a_name_from_before_the_statement_or_after_it() -> None:
    assert lines(renamed(CALLS, ("01-01", "requests", ())), DATA) == ["data 01 100", "requests 01 40"]
    assert lines(renamed(CALLS, ("02-01", "requests", ())), DATA) == ["calls 01 40", "data 01 100"]


def test_overrides_reach_by_the_tags_of_the_time() -> None:
    half = Override(UUID(int=50), Period(SINCE_EVER), (Specifier(tags=("gpu",)),), Multiplier(D("0.5")), None, None, 1)
    found = lines(renamed(CALLS, ("01-10", "calls", ("gpu",))), DATA, overrides=(half,))
    assert found == ["calls 01 20", "calls 10 10", "data 01 100"]


def test_composites_count_by_the_tags_of_the_time() -> None:
    fee = Product(UUID(int=9), "fee", ProductType.COMPOSITE, None, composite=Composite(tags=("gpu",)))
    found = lines(renamed(CALLS, ("01-10", "calls", ("gpu",))), DATA, fee, last=Percentage(D("0.1")))
    assert found[-1] == "fee 10 2"
    without = lines(
        renamed(replace(CALLS, tags=("gpu",)), ("01-10", "calls", ())), DATA, fee, last=Percentage(D("0.1"))
    )
    assert without[-1] == "fee 01 2"


@pytest.mark.parametrize(("minimum", "expected"), [("01-10", 1), ("01-20", 0)])
def test_a_minimum_needs_spend_while_the_product_belongs_to_it(minimum: str, expected: int) -> None:
    composite = Composite(tags=("gpu",), exclude_free_usage=True)
    fee = Product(UUID(int=9), "fee", ProductType.COMPOSITE, None, composite=composite)
    least = replace(entry(3, Percentage(D("0.1")), product_id=fee.id), minimum=D(50))
    agreed = terms(entry(1, flat("2")), least, products=(renamed(CALLS, (minimum, "calls", ("gpu",))), fee))
    found = rate_statement(agreed, JANUARY, {UsageKey(A): used(d5="10", d15="10")}).lines
    assert sum(line.type == "minimum" for line in found) == expected


def test_changes_of_a_name_come_in_order_of_time() -> None:
    with pytest.raises(ValueError, match="sorted by start"):
        renamed(product(1, "calls"), ("01-10", "a", ()), ("01-10", "b", ()))


def test_a_composite_is_a_percentage_of_what_it_names_at_the_time() -> None:
    fee = Product(UUID(int=9), "fee", ProductType.COMPOSITE, None, composite=Composite((A,)))
    other = Naming(day("01-10"), "fee", (), Composite((A, B)))
    kept = Naming(day("01-20"), "surcharge", ())
    found = lines(CALLS, DATA, replace(fee, namings=(other,)), last=Percentage(D("0.1")))
    assert found[-1] == "fee 01 4"
    assert lines(CALLS, DATA, replace(fee, namings=(kept,)), last=Percentage(D("0.1")))[-1] == "fee 01 4"
    without = Naming(day("01-10"), "fee", (), Composite((B,)))
    assert lines(CALLS, DATA, replace(fee, namings=(without,)), last=Percentage(D("0.1")))[-1] == "fee 01 2"
