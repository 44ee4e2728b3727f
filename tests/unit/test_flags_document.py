"""The file of flags: what may stand in it, and who has a feature."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from weft.flags.document import (
    MAX_BYTES,
    Document,
    Fault,
    Feature,
    FlagsError,
    chosen,
    in_force,
    read,
    written,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAULT = {"kind": "fault", "service": "orders", "value": 80, "until": "2026-03-01T12:10:00Z"}
FEATURE = {
    "kind": "feature",
    "service": "orders",
    "percent": 20,
    "owner": "shop",
    "since": "2026-01-01",
}


def text(**flags: object) -> bytes:
    return json.dumps(
        {"flags": {name.replace("_", "-"): flag for name, flag in flags.items()}}
    ).encode()


def test_what_is_written_is_what_is_read() -> None:
    document = read(text(cpu_burn=FAULT, new=FEATURE), NOW)
    assert document.flags["cpu-burn"] == Fault(
        service="orders", value=80, until=NOW + timedelta(minutes=10)
    )
    assert document.flags["new"] == Feature(
        service="orders", percent=20, owner="shop", since=date(2026, 1, 1)
    )
    assert read(written(document).encode(), NOW) == document
    assert read(b"{}", NOW) == Document()


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"flags": {"a": ',
        b"[" * 50_000,
        b'{"flagz": {}}',
        text(Upper=FAULT),
        text(a=FAULT | {"kind": "joke"}),
        text(a=FAULT | {"value": -1}),
        text(a=FAULT | {"value": 1e9}),
        text(a=FAULT | {"until": "2026-03-01T12:10:00"}),
        text(a=FAULT | {"until": "2026-03-01T14:00:00Z"}),
        text(a=FAULT | {"more": 1}),
        text(a=FAULT | {"service": "Orders; DROP"}),
        text(a=FEATURE | {"percent": 101}),
        text(a=FEATURE | {"owner": ""}),
        text(a={key: value for key, value in FEATURE.items() if key != "since"}),
        text(**{f"a{number}": FEATURE for number in range(101)}),
        b'{"flags": {}' + b" " * MAX_BYTES + b"}",
    ],
)
def test_what_is_wrong_anywhere_is_refused_as_a_whole_in_one_line(wrong: bytes) -> None:
    with pytest.raises(FlagsError) as caught:
        read(wrong, NOW)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fault_is_on_in_its_service_until_its_time() -> None:
    document = read(text(cpu_burn=FAULT, new=FEATURE), NOW)
    assert set(in_force(document, "orders", NOW)) == {"cpu-burn"}
    assert in_force(document, "payments", NOW) == {}
    assert in_force(document, "orders", NOW + timedelta(minutes=10)) == {}


def test_a_share_of_users_is_always_the_same_ones_and_grows() -> None:
    users = [f"user-{number}" for number in range(4000)]
    few = {user for user in users if chosen("new", 20, user)}
    assert 0.17 < len(few) / len(users) < 0.23
    assert few == {user for user in users if chosen("new", 20, user)}
    assert few < {user for user in users if chosen("new", 50, user)}
    assert not any(chosen("new", 0, user) for user in users)
    assert all(chosen("new", 100, user) for user in users)
    other = {user for user in users if chosen("other", 20, user)}
    assert len(few & other) < len(few) / 2


def test_a_feature_flag_is_old_after_ninety_days() -> None:
    flag = Feature(service="orders", percent=20, owner="shop", since=date(2026, 1, 1))
    assert not flag.is_old(date(2026, 4, 1))
    assert flag.is_old(date(2026, 4, 2))
