from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from weft.settings import Addresses, Duration, Secret, ServiceSettings, Settings, SettingsError


class Example(Settings, frozen=True, kw_only=True):
    inventory_url: str
    order_deadline: Duration = 30.0
    orders_url: Addresses = ("http://127.0.0.1:8101",)
    prefetch: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    traffic: bool = True
    mode: Literal["fast", "safe"] = "safe"
    key: Secret | None = None
    folder: Path | None = None


REQUIRED = {"WEFT_INVENTORY_URL": "http://127.0.0.1:8102"}


def test_defaults_stand_where_nothing_is_set() -> None:
    example = Example.load(REQUIRED)
    assert example.order_deadline == 30.0
    assert example.traffic is True
    assert example.key is None


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("WEFT_ORDER_DEADLINE", "500ms", "order_deadline", 0.5),
        ("WEFT_ORDER_DEADLINE", "2m", "order_deadline", 120.0),
        ("WEFT_ORDER_DEADLINE", "1.5", "order_deadline", 1.5),
        ("WEFT_PREFETCH", "7", "prefetch", 7),
        ("WEFT_TRAFFIC", "0", "traffic", False),
        ("WEFT_TRAFFIC", "false", "traffic", False),
        ("WEFT_TRAFFIC", "1", "traffic", True),
        ("WEFT_MODE", "fast", "mode", "fast"),
        ("WEFT_ORDERS_URL", "http://a:1", "orders_url", ("http://a:1",)),
        ("WEFT_ORDERS_URL", " http://a:1\nhttps://b ", "orders_url", ("http://a:1", "https://b")),
        ("WEFT_FOLDER", "data/x", "folder", Path("data/x")),
        ("WEFT_KEY", "s3cret", "key", Secret("s3cret")),
    ],
)
def test_a_variable_is_converted_to_its_fields_type(
    variable: str, text: str, field: str, value: object
) -> None:
    assert getattr(Example.load({**REQUIRED, variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("WEFT_TRAFFIC", "yes", "WEFT_TRAFFIC is 'yes': expected true, false, 1 or 0"),
        ("WEFT_TRAFFIC", "", "WEFT_TRAFFIC is '': expected true, false, 1 or 0"),
        ("WEFT_PREFETCH", "0", "WEFT_PREFETCH is '0': expected a whole number from 1 to 1000"),
        ("WEFT_PREFETCH", "1.5", "WEFT_PREFETCH is '1.5': expected a whole number from 1 to 1000"),
        ("WEFT_MODE", "quick", "WEFT_MODE is 'quick': expected one of fast, safe"),
        (
            "WEFT_ORDER_DEADLINE",
            "soon",
            "WEFT_ORDER_DEADLINE is 'soon': expected a duration such as 30s, 500ms or 2m",
        ),
        (
            "WEFT_ORDER_DEADLINE",
            "-1s",
            "WEFT_ORDER_DEADLINE is '-1s': expected a duration such as 30s, 500ms or 2m",
        ),
        (
            "WEFT_ORDERS_URL",
            "http://a:1, b:2",
            "WEFT_ORDERS_URL is 'http://a:1, b:2': expected http addresses, with blanks between",
        ),
        (
            "WEFT_ORDERS_URL",
            "",
            "WEFT_ORDERS_URL is '': expected http addresses, with blanks between",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(
    variable: str, text: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Example.load({**REQUIRED, variable: text})
    assert str(caught.value) == message


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="WEFT_INVENTORY_URL is not set: expected text"):
        Example.load({})


def test_a_secret_comes_from_a_file_and_does_not_show_itself(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2\n")
    example = Example.load({**REQUIRED, "WEFT_KEY_FILE": str(file)})
    assert example.key is not None
    assert example.key.reveal() == "hunter2"
    assert "hunter2" not in f"{example} {example!r}"


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="WEFT_KEY_FILE: expected a readable text file"):
        Example.load({**REQUIRED, "WEFT_KEY_FILE": str(tmp_path / "none")})


def test_a_value_and_a_file_for_the_same_setting_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="both set"):
        Example.load({**REQUIRED, "WEFT_KEY": "x", "WEFT_KEY_FILE": str(tmp_path)})


def test_a_service_listens_on_loopback_unless_told_otherwise() -> None:
    assert ServiceSettings.load({}).bind == "127.0.0.1"
