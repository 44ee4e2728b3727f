import pytest

from weft.telemetry.statements import summary_of


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT * FROM orders WHERE id = $1", "SELECT orders"),
        ("select now()", "SELECT"),
        ("INSERT INTO a (b) VALUES ($1) ON CONFLICT (b) DO UPDATE SET b = 1", "INSERT a"),
        ("UPDATE ONLY streams SET version = $1", "UPDATE streams"),
        (
            "DELETE FROM x WHERE id IN (SELECT id FROM y FOR UPDATE SKIP LOCKED)",
            "DELETE x SELECT y",
        ),
        ("INSERT INTO t VALUES ('SELECT secret FROM users')", "INSERT t"),
        ("SELECT 1 -- DROP TABLE users", "SELECT"),
        (
            (
                "WITH s AS (UPDATE weft.streams SET version = 2 RETURNING id),"
                " e AS (INSERT INTO weft.events SELECT 1 FROM s)"
                " INSERT INTO weft.outbox SELECT * FROM e"
            ),
            "UPDATE weft.streams INSERT weft.events INSERT weft.outbox",
        ),
        (
            "DROP TABLE a.inbox_20261119; DROP TABLE a.inbox_20261120",
            "DROP a.inbox_N",
        ),
        ("BEGIN", "BEGIN"),
        ("", "SQL"),
    ],
)
def test_a_statement_has_a_summary_of_few_values(statement: str, summary: str) -> None:
    assert summary_of(statement).text == summary


def test_a_summary_and_a_statement_are_bounded() -> None:
    many = " ".join(f"SELECT a FROM table_{n};" for n in range(1000))
    assert len(summary_of(many).text) <= 120
    assert len(summary_of(many).statement) <= 2000


def test_one_operation_on_one_table_is_named_apart() -> None:
    assert summary_of("SELECT 1 FROM orders")[1:3] == ("SELECT", "orders")
    assert summary_of("DELETE FROM a WHERE b IN (SELECT b FROM c)")[1:3] == (None, None)
