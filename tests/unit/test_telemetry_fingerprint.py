import json
import re
from collections.abc import Callable

from weft.telemetry.fingerprint import fingerprint


def caught(work: Callable[[], object]) -> BaseException:
    try:
        work()
    except (ValueError, KeyError, RecursionError) as error:
        return error
    raise AssertionError("it did not fail")


def refuse(what: str) -> None:
    raise ValueError(f"no {what}")


def either(what: str) -> None:
    if what == "first":
        raise ValueError(what)
    raise ValueError(what)


def fall(depth: int) -> None:
    if depth == 0:
        raise ValueError("too deep")
    fall(depth - 1)


def test_what_an_error_says_does_not_tell_it_apart() -> None:
    one, other = (caught(lambda what=what: refuse(what)) for what in ("tea", "coffee"))
    assert fingerprint(one) == fingerprint(other)
    assert re.fullmatch(r"[0-9a-f]{8}", fingerprint(one))


def test_type_and_place_tell_errors_apart() -> None:
    def other_type() -> None:
        raise KeyError("tea")

    errors = [
        caught(lambda: refuse("tea")),
        caught(other_type),
        caught(lambda: either("first")),
        caught(lambda: either("second")),
    ]
    assert len({fingerprint(error) for error in errors}) == 4


def test_frames_of_libraries_do_not_count() -> None:
    one = caught(lambda: json.loads("{"))
    other = caught(lambda: json.loads("[1,"))
    assert str(one) != str(other)

    def parse(text: str) -> None:
        json.loads(text)

    deep = [caught(lambda text=text: parse(text)) for text in ("{", '{"a": [', "[1,")]
    assert len({fingerprint(error) for error in deep}) == 1


def test_a_recursion_is_one_error_however_deep() -> None:
    shallow, deep = (caught(lambda depth=depth: fall(depth)) for depth in (3, 50))
    assert fingerprint(shallow) == fingerprint(deep)
    assert fingerprint(caught(lambda: fall(100_000)))


def test_an_error_that_was_never_raised_has_one_too() -> None:
    assert fingerprint(ValueError("a")) == fingerprint(ValueError("b"))
    assert fingerprint(ValueError("a")) != fingerprint(TypeError("a"))
