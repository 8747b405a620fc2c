"""Queries of SQL metrics that tests evaluate, and events to evaluate them on."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from app.core.metering import Event
from app.core.period import HOUR
from tests.core.agreements import day

QUERIES = [
    "SELECT SUM(properties.n) FROM events",
    "SELECT COUNT(*) AS value, properties.region FROM events WHERE event_type = 'call' GROUP BY properties.region",
    "SELECT COUNT(properties.n) FROM events WHERE properties.region <> 'eu'",
    "SELECT properties.n AS value, properties.region FROM events",
    "SELECT properties.n * 2 AS value, DATE_TRUNC('hour', timestamp) AS h, DATE_TRUNC('day', timestamp) AS d FROM events",
    "SELECT AVG(properties.n) FROM events",
    "SELECT AVG(properties.n) AS value, properties.region AS region FROM events GROUP BY region",
    "SELECT MAX(properties.n) - MIN(properties.n) FROM events",
    "SELECT COUNT(DISTINCT properties.region) FROM events",
    "SELECT COUNT(DISTINCT CAST(properties.n AS NUMERIC)) FROM events",
    "SELECT LATEST(properties.n) AS value, EARLIEST(properties.region) AS first FROM events",
    "SELECT LATEST(CAST(properties.n AS INTEGER)) - EARLIEST(properties.m) FROM events",
    "SELECT COUNT(*) FROM (SELECT properties.region AS r, LATEST(properties.n) AS n FROM events GROUP BY 1) AS t WHERE n > 3",
    "SELECT SUM(top) AS value, kind FROM (SELECT MAX(properties.n) AS top, event_type AS kind, properties.region FROM events "
    "GROUP BY event_type, properties.region) AS t GROUP BY kind",
    "SELECT SUM(x) FROM (SELECT SUM(properties.n) / COUNT(*) AS x, properties.region FROM events GROUP BY 2) AS t",
    "SELECT SUM(x) FROM (SELECT properties.n / properties.m AS x FROM events WHERE properties.m IS NOT NULL) AS t",
    "SELECT SUM(CASE WHEN properties.n > 3 AND properties.region = 'eu' THEN properties.n WHEN properties.n IS NULL THEN 1 "
    "ELSE 0 END) FROM events",
    "SELECT SUM(CASE properties.region WHEN 'eu' THEN 1 WHEN 'us' THEN 2 END) FROM events",
    "SELECT SUM(LEAST(properties.n, 5)) + SUM(GREATEST(properties.n, properties.m, 2)) FROM events",
    "SELECT SUM(ROUND(properties.n / 7, 3)) FROM events",
    "SELECT SUM(CEIL(properties.n / 3)) * SUM(FLOOR(properties.n / 3)) FROM events",
    "SELECT SUM(ROUND(properties.n)) FROM events WHERE properties.n IN (1, 2.5, '3') OR NOT properties.region IN ('eu', NULL)",
    "SELECT COUNT(*) FROM events WHERE timestamp >= '2025-01-01T02:00:00Z' AND timestamp < '2025-01-01T05:30:00+01:00'",
    "SELECT COUNT(*) FROM events WHERE properties.region >= 'eu' OR properties.region IS NULL",
    "SELECT COUNT(*) FROM events WHERE properties.n <= properties.m OR properties.m > 2 OR properties.n < 1",
    "SELECT COUNT(*) AS value, CAST(properties.n AS NUMERIC) AS n, CAST(CAST(properties.m AS NUMERIC) AS TEXT) AS m "
    "FROM events GROUP BY 2, 3",
    "SELECT COUNT(*) AS value, properties.n > 2 AS big FROM events GROUP BY 2",
    "SELECT COUNT(*) AS value, CAST(timestamp AS TEXT) AS at FROM events GROUP BY timestamp",
    "SELECT -SUM(properties.n) * 100000000000000000000000000000000000 * 1000 FROM events",
    "SELECT SUM(properties.n * 0.00000000000000000000000000000000000001 * 0.5) * 100000000000000000000000 FROM events",
    "SELECT SUM(properties.n) / NULL + COUNT(*) AS value, NULL AS nothing FROM events",
    "SELECT 1 / (COUNT(*) - 2) AS value, 'all' AS word FROM events",
    "SELECT COUNT(*) + 5 FROM events WHERE 1 = 2 OR (NULL = 1 AND 1 = 1)",
    "SELECT COUNT(*) FROM events WHERE NOT (properties.n = 2 AND properties.region = 'eu')",
    "SELECT CAST('junk' AS NUMERIC) AS value, CAST('4' AS NUMERIC) AS four FROM events",
    "SELECT SUM(c) FROM (SELECT COUNT(*) AS c FROM (SELECT properties.n AS n FROM events GROUP BY 1) AS a) AS b",
]

NUMBERS = ["1", "2.50", "-3", "0.1", "7", "0", "junk", "9" * 38, "0." + "1" * 38, 2, Decimal("2.5"), True, None]
regions = st.sampled_from(["eu", "us", "Éire", "z", "", None])
events = st.lists(
    st.builds(
        lambda minutes, kind, n, m, region: Event(
            "acme", kind, day("01-01") + minutes * HOUR / 60, {"n": n, "m": m, "region": region}
        ),
        st.integers(0, 8 * 60).map(lambda minute: minute // 20 * 20),
        st.sampled_from(["call", "chat"]), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), regions,
    ),
    max_size=12,
)  # fmt: skip
