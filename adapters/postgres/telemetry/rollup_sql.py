"""The SQL that adds rollups up: once for reading and for merging."""

from collections.abc import Sequence

SUMS = (
    "events", "succeeded", "failed",
    "durations", "duration_total", "duration_largest", "duration_buckets", "duration_counts",
    "tokens", "token_total", "token_largest", "token_buckets", "token_counts",
)  # fmt: skip
"""The columns of a rollup besides its key. The buckets of a sketch may repeat: their counts add up."""

KEY = ("tenant_id", "margin", "at", "event_type", "agent_id")


def sum_up(source: str, keys: Sequence[str]) -> str:
    """Return a query that adds up the rows of `source` by the columns `keys`; its columns are these and `SUMS`."""
    by = ", ".join(keys)
    return f"""
        SELECT {by}, events, succeeded, failed, durations, duration_total, duration_largest,
            coalesce(d.buckets, '{{}}') AS duration_buckets, coalesce(d.counts, '{{}}') AS duration_counts,
            tokens, token_total, token_largest,
            coalesce(t.buckets, '{{}}') AS token_buckets, coalesce(t.counts, '{{}}') AS token_counts
        FROM (
            SELECT {by}, sum(events)::bigint AS events, sum(succeeded)::bigint AS succeeded,
                sum(failed)::bigint AS failed, sum(durations)::bigint AS durations,
                sum(duration_total) AS duration_total, max(duration_largest) AS duration_largest,
                sum(tokens)::bigint AS tokens, sum(token_total) AS token_total, max(token_largest) AS token_largest
            FROM {source} GROUP BY {by}
        ) AS s
        LEFT JOIN ({_sketches(source, by, "duration")}) AS d USING ({by})
        LEFT JOIN ({_sketches(source, by, "token")}) AS t USING ({by})
    """  # noqa: S608  (column names)


def _sketches(source: str, by: str, figure: str) -> str:
    return f"""
        SELECT {by}, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(number ORDER BY bucket) AS counts
        FROM (
            SELECT {by}, bucket, sum(number)::bigint AS number
            FROM {source}, unnest({figure}_buckets, {figure}_counts) AS u (bucket, number) GROUP BY {by}, bucket
        ) AS summed GROUP BY {by}
    """  # noqa: S608  (the same)
