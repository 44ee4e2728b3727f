"""Alertmanager's webhook: who may call it, what is news, and what the inbox keeps."""

import asyncio

import pytest

from tests.integration.notifier.conftest import Begin, Notifier, alert, hook


@pytest.fixture(scope="module")
async def notifier(begin: Begin) -> Notifier:
    return await begin()


async def test_a_group_is_one_message_and_what_comes_again_is_none(notifier: Notifier) -> None:
    worse = alert(name="A", fingerprint="b", labels={"severity": "critical"})
    group = hook(alert(name="A"), worse)
    assert await notifier.hook(group) == (200, {"told": True})
    assert await notifier.hook(group) == (200, {"told": False})
    [notice] = await notifier.notices("A")
    assert notice["title"] == "[FIRING 2] A (orders)"
    assert notice["severity"] == "critical"
    assert [one["fingerprint"] for one in notice["alerts"]] == ["b", "c4bd3c6a43ab8f5b"]
    assert notice["deliveries"] == []


async def test_the_end_is_told_once_and_a_new_beginning_too(notifier: Notifier) -> None:
    for body, told in (
        (hook(alert(name="B")), True),
        (hook(alert("resolved", name="B")), True),
        (hook(alert("resolved", name="B")), False),
        (hook(alert(name="B", start=5)), True),
        (hook(alert("resolved", name="B", start=5)), True),
    ):
        assert await notifier.hook(body) == (200, {"told": told})
    titles = [notice["title"] for notice in await notifier.notices("B")]
    over = "[RESOLVED] B (orders): 3 messages are dead"
    assert titles == [over, over.replace("RESOLVED", "FIRING")] * 2


async def test_an_end_that_overtakes_its_beginning_leaves_nothing_firing(
    notifier: Notifier,
) -> None:
    assert await notifier.hook(hook(alert("resolved", name="C"))) == (200, {"told": False})
    assert await notifier.hook(hook(alert(name="C"))) == (200, {"told": False})
    assert await notifier.notices("C") == []


async def test_one_message_comes_of_the_same_webhook_in_many_hands_at_once(
    notifier: Notifier,
) -> None:
    answers = await asyncio.gather(*(notifier.hook(hook(alert(name="D"))) for _ in range(8)))
    assert sorted(told["told"] for _, told in answers) == [False] * 7 + [True]
    assert len(await notifier.notices("D")) == 1


async def test_groups_are_told_of_apart_and_grafanas_payload_is_taken(notifier: Notifier) -> None:
    assert await notifier.hook(hook(alert(name="E"), group="a")) == (200, {"told": True})
    body = hook(alert(name="E"), group="b", version="1") | {"orgId": 1, "state": "alerting"}
    assert await notifier.hook(body) == (200, {"told": True})
    assert len(await notifier.notices("E")) == 2


async def test_only_who_has_the_key_may_tell_and_only_operators_may_read(
    notifier: Notifier,
) -> None:
    assert (await notifier.hook(hook(alert(name="F")), key="wrong"))[0] == 401
    assert await notifier.inbox("orders:read") == 403
    assert await notifier.notices("F") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "3"},
        {"alerts": []},
        {"groupKey": ""},
        {"alerts": [alert() | {"startsAt": "yesterday"}]},
        {"alerts": [alert() | {"status": "maybe"}]},
        {"alerts": [alert() | {"labels": {"alertname": 7}}]},
    ],
)
async def test_a_wrong_payload_is_refused(notifier: Notifier, wrong: dict[str, object]) -> None:
    assert (await notifier.hook(hook(alert()) | wrong))[0] == 422


async def test_the_watchdog_is_heard_and_told_to_nobody(notifier: Notifier) -> None:
    beat = alert(name="Watchdog", annotations={"evaluated_at": "1795654833"})
    assert await notifier.hook(hook(beat)) == (200, {"told": False})
    assert await notifier.notices("Watchdog") == []


async def test_the_inbox_is_read_page_by_page_and_outlives_the_process(
    begin: Begin, notifier: Notifier
) -> None:
    for number in range(5):
        await notifier.hook(hook(alert(name="G"), group=f"group {number}"))
    again = await begin()
    first = await again.inbox(query="?limit=3")
    rest = await again.inbox(query=f"?limit=2&cursor={first['next']}")
    names = [one["alerts"][0]["labels"]["alertname"] for one in first["notices"] + rest["notices"]]
    assert names == ["G"] * 5
    assert await again.hook(hook(alert(name="G"), group="group 0")) == (200, {"told": False})


async def test_a_channels_file_that_is_wrong_is_said_in_one_line_without_its_secrets(
    begin: Begin,
) -> None:
    wrong = '[[channel]]\nkind = "slack"\nname = "chat"\nurl = "https://user@hooks/s3cret"\n'
    with pytest.raises(AssertionError) as failure:
        await begin(wrong)
    assert "WEFT_NOTIFIER_CHANNELS: Expected `str` matching regex" in str(failure.value)
    assert "s3cret" not in str(failure.value)
