"""One range of bytes, or the whole."""

import pytest

from weft.http import Problem, byte_range, content_range

TAG = '"a/1.csv"'


def asked(given: str | None, size: int = 10, **headers: str) -> range | None:
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return byte_range(named | ({} if given is None else {"Range": given}), size=size, tag=TAG)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("bytes=0-3", range(4)),
        ("bytes=9-", range(9, 10)),
        ("bytes=0-", range(10)),
        ("bytes=2-999", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-999", range(10)),
    ],
)
def test_one_range_is_given_as_far_as_the_body_goes(given: str, part: range) -> None:
    assert asked(given) == part


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=3-2",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=a-b",
    ],
)
def test_what_is_no_single_range_of_bytes_is_the_whole(given: str | None) -> None:
    assert asked(given) is None


@pytest.mark.parametrize("given", ["bytes=\u0663-", "bytes=0-" + "9" * 20])
def test_digits_are_few_and_ascii(given: str) -> None:
    assert asked(given) is None


@pytest.mark.parametrize(("given", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_without_a_byte_is_a_416_with_the_size(given: str, size: int) -> None:
    with pytest.raises(Problem) as refused:
        asked(given, size)
    assert refused.value.status == 416
    assert refused.value.headers == {"Content-Range": f"bytes */{size}"}


def test_a_range_of_another_body_is_the_whole() -> None:
    assert asked("bytes=1-", if_range='"b"') is None
    assert asked("bytes=1-", if_range=TAG) == range(1, 10)


def test_a_part_says_where_it_stands() -> None:
    assert content_range(range(3, 10), 10) == "bytes 3-9/10"
