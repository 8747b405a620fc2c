"""Numbers as an accountant reads them: grammar, canonical text, rounding, sharing."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.money import (
    allocate,
    bounded,
    canonical,
    ceil_to,
    divide,
    exact,
    fiat,
    floor_to,
    parse_decimal,
    round_half_up,
    round_total,
)

D = Decimal

amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=6, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12.50", "12.5"),
        ("-3", "-3"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("007", "7"),
        ("1000", "1000"),
        ("0.000000000001", "0.000000000001"),
        ("9" * 38, "9" * 38),
        ("1" + "0" * 37, "1" + "0" * 37),
        ("0." + "0" * 37 + "1", "0." + "0" * 37 + "1"),
    ],
)
def test_decimal_strings_that_are_read(text: str, number: str) -> None:
    assert canonical(parse_decimal(text)) == number
    assert parse_decimal(text).as_tuple() == parse_decimal(number).as_tuple()


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1 ", " 1", "\n1", "1\n", "+1", "1.", ".5", "1,5", "--1", "1e3", "1E400", "0x10", "1_000", "abc"),
        *("NaN", "sNaN", "Infinity", "-Infinity", "١٢", "１", "−1", "true"),
        *("1" * 39, "1" + "0" * 38, "0." + "0" * 38 + "1", "1." + "1" * 38, "1" * 5000, "0" * 61),
    ],
)
def test_decimal_strings_that_are_refused_say_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match="optional minus, digits and an optional fraction"):
        parse_decimal(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("1.2300", "1.23"), ("-0.0", "0"), ("0E+30", "0"), ("1E-12", "0.000000000001"), ("100", "100")],
)
def test_canonical_text(value: str, text: str) -> None:
    assert canonical(D(value)) == text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1E+400", "1E+38", "1E-400", "1" * 300, "0." + "1" * 300])
def test_numbers_beyond_the_grammar_are_refused_as_well(value: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        bounded(D(value))


def test_bounded_numbers_are_plain() -> None:
    assert str(bounded(D("1E+3"))) == "1000"
    assert str(bounded(D("-0.0"))) == "0"


@given(amounts)
def test_reading_a_canonical_text_gives_the_number_back(amount: Decimal) -> None:
    assert parse_decimal(canonical(amount)) == amount


def test_exact_arithmetic_raises_instead_of_losing_digits() -> None:
    with exact():
        assert D("0.1") + D("0.2") == D("0.3")
        assert D("9" * 38) * D("9" * 38) > 0
        with pytest.raises(decimal.Inexact):
            D(1) / D(3)
        with pytest.raises(decimal.FloatOperation):
            D(0.5)
        with pytest.raises(decimal.DivisionByZero):
            D(1) / D(0)
        with pytest.raises(decimal.InvalidOperation):
            D("Infinity") - D("Infinity")


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [
        ("10", "4", "2.5"),
        ("10", "3", "3.333333333333"),
        ("20", "3", "6.666666666667"),
        ("-20", "3", "-6.666666666667"),
        ("0.000000000001", "2", "0.000000000001"),
        ("-0.000000000001", "2", "-0.000000000001"),
        ("0.000000000001", "2.000000000001", "0"),
        ("0", "7", "0"),
    ],
)
def test_division_rounds_half_up_at_twelve_places(numerator: str, denominator: str, quotient: str) -> None:
    assert divide(D(numerator), D(denominator)) == D(quotient)


def test_division_by_zero_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        divide(D(1), D(0))


@given(amounts, amounts.filter(bool))
def test_division_is_off_by_half_a_last_place_at_most(numerator: Decimal, denominator: Decimal) -> None:
    error = abs(Fraction(divide(numerator, denominator)) - Fraction(numerator) / Fraction(denominator))
    assert 2 * error <= Fraction(1, 10**12)


@pytest.mark.parametrize(
    ("places", "codes"),
    [(2, "USD EUR GBP INR BRL CHF"), (0, "JPY KRW CLP VND XOF ISK"), (3, "KWD BHD OMR JOD TND"), (4, "CLF UYW")],
)
def test_minor_digits(places: int, codes: str) -> None:
    for code in codes.split():
        unit = fiat(code)
        assert (unit.code, unit.places, unit.is_fiat) == (code, places, True)


@pytest.mark.parametrize("code", ["", "usd", "XXX", "BTC", "HRK", "TOKENS"])
def test_unknown_currencies_are_refused(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        fiat(code)


@pytest.mark.parametrize(
    ("code", "subtotal", "total"),
    [
        ("USD", "1.005", "1.01"),
        ("USD", "1.0049999", "1.00"),
        ("USD", "-1.005", "-1.01"),
        ("JPY", "166.5", "167"),
        ("JPY", "-166.5", "-167"),
        ("KWD", "0.617", "0.617"),
        ("KWD", "0.6165", "0.617"),
        ("USD", "-0.004", "0"),
    ],
)
def test_totals_round_half_up_in_their_currency(code: str, subtotal: str, total: str) -> None:
    rounded = round_total(D(subtotal), fiat(code))
    assert rounded == D(total)
    assert not (rounded.is_zero() and rounded.is_signed())


@pytest.mark.parametrize(
    ("amount", "floor"), [("1.019", "1.01"), ("1.01", "1.01"), ("-1.011", "-1.02"), ("0.004", "0")]
)
def test_marketplaces_get_whole_cents_rounded_down(amount: str, floor: str) -> None:
    assert floor_to(D(amount), places=2) == D(floor)


@pytest.mark.parametrize(
    ("total", "weights", "places", "shares"),
    [
        # A rounded total over its exact lines: the missing cent goes to the largest remainder.
        ("1.01", "0.335 0.335 0.335", 2, "0.34 0.34 0.33"),
        ("0.02", "0.004 0.009 0.005", 2, "0 0.01 0.01"),
        ("0", "0.004", 2, "0"),
        ("167", "166.5", 0, "167"),
        ("6.5", "0 5 1.5", 2, "0 5 1.5"),
        # A credit beside usage: no line moves by more than a cent, however small the total is.
        ("0.01", "100 -99.995", 2, "100 -99.99"),
        ("0", "0.005 -0.005", 2, "0.01 -0.01"),
        ("-1.01", "-0.335 -0.335 -0.335", 2, "-0.34 -0.34 -0.33"),
        # A total that is not the sum: in proportion.
        ("10", "1 1 1", 2, "3.34 3.33 3.33"),
        ("-10", "1 1 1", 2, "-3.34 -3.33 -3.33"),
        ("100", "3 1", 0, "75 25"),
        ("302.03", "300 1 1", 2, "300.03 1 1"),
        ("5", "0 0", 0, "3 2"),
        ("30", "40 -20", 2, "46.67 -16.67"),
        ("0", "", 2, ""),
    ],
)
def test_sharing_by_largest_remainder(total: str, weights: str, places: int, shares: str) -> None:
    shared = allocate(D(total), [D(weight) for weight in weights.split()], places=places)
    assert shared == tuple(D(share) for share in shares.split())


def test_what_cannot_be_shared() -> None:
    with pytest.raises(ValueError, match="more than 2 decimal places"):
        allocate(D("0.001"), [D(1)], places=2)
    with pytest.raises(ValueError, match="over nothing"):
        allocate(D(1), [], places=2)


@given(st.lists(amounts, min_size=1, max_size=12), st.integers(-(10**9), 10**9), st.sampled_from([0, 2, 3]))
def test_shares_add_up_to_any_total(weights: list[Decimal], parts: int, places: int) -> None:
    total = D(parts).scaleb(-places)
    shares = allocate(total, weights, places=places)
    assert sum(shares) == total
    assert allocate(-total, [-weight for weight in weights], places=places) == tuple(-share for share in shares)


@given(st.lists(amounts, min_size=1, max_size=12), st.sampled_from([0, 2, 3]))
def test_shares_of_a_rounded_total_lie_within_one_part_of_their_line(lines: list[Decimal], places: int) -> None:
    total = round_half_up(sum(lines, D(0)), places=places)
    for line, share in zip(lines, allocate(total, lines, places=places), strict=True):
        assert abs(share - line) < D(1).scaleb(-places)


@pytest.mark.parametrize(("amount", "ceiling"), [("1.231", "1.24"), ("1.23", "1.23"), ("-1.239", "-1.23"), ("0", "0")])
def test_the_next_number_above(amount: str, ceiling: str) -> None:
    assert ceil_to(D(amount), places=2) == D(ceiling)
