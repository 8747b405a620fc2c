"""What a true-up bills: what is missing of a commit after everything that counts towards it so far.

Owns its draft. Which true-ups are open is told by `trueups.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.core.grants import Grant, Pot
from app.core.invoice import assemble
from app.core.ledger import Movement, remaining, true_up_line
from app.core.money import ZERO, fiat
from app.core.terms import Terms
from app.invoices.drafts import RatedStatement
from app.invoices.statements import Statement


def rated_true_up(statement: Statement, grant: Grant, movements: Sequence[Movement], terms: Terms) -> RatedStatement:
    """What is missing of a commit after everything that counts towards it so far; no line when nothing is.

    The commit, with what is missing as available, is the only balance in sight: it is what the invoice is frozen with.
    """
    segment = grant.segments[0]
    missing = remaining(segment, movements)
    lines = [true_up_line(grant, missing)] if missing > ZERO else []
    return RatedStatement(
        statement, assemble(lines, fiat(statement.currency)), (), (), terms, {}, [Pot(grant, segment, missing)]
    )
