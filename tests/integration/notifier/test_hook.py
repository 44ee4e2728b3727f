"""Alertmanager's webhook: who may call it, what is news, and what the inbox keeps."""

import asyncio

import pytest

from tests.integration.notifier.conftest import Begin, alert, hook


async def test_a_group_is_one_message_and_what_comes_again_is_none(begin: Begin) -> None:
    notifier = await begin()
    group = hook(alert(), alert(fingerprint="b", labels={"severity": "critical"}))
    assert await notifier.hook(group) == (200, {"told": True})
    assert await notifier.hook(group) == (200, {"told": False})
    [notice] = await notifier.notices()
    assert notice["title"] == "[FIRING 2] DeadLetters (orders)"
    assert notice["severity"] == "critical"
    assert [one["fingerprint"] for one in notice["alerts"]] == ["b", "c4bd3c6a43ab8f5b"]
    assert notice["deliveries"] == []


async def test_the_end_is_told_once_and_a_new_beginning_too(begin: Begin) -> None:
    notifier = await begin()
    for body, told in (
        (hook(alert()), True),
        (hook(alert("resolved")), True),
        (hook(alert("resolved")), False),
        (hook(alert(start=5)), True),
        (hook(alert("resolved", start=5)), True),
    ):
        assert await notifier.hook(body) == (200, {"told": told})
    titles = [notice["title"] for notice in await notifier.notices()]
    over = "[RESOLVED] DeadLetters (orders): 3 messages are dead"
    assert titles == [over, over.replace("RESOLVED", "FIRING")] * 2


async def test_an_end_that_overtakes_its_beginning_leaves_nothing_firing(begin: Begin) -> None:
    notifier = await begin()
    assert await notifier.hook(hook(alert("resolved"))) == (200, {"told": False})
    assert await notifier.hook(hook(alert())) == (200, {"told": False})
    assert await notifier.notices() == []


async def test_one_message_comes_of_the_same_webhook_in_many_hands_at_once(begin: Begin) -> None:
    notifier = await begin()
    answers = await asyncio.gather(*(notifier.hook(hook(alert())) for _ in range(8)))
    assert sorted(told["told"] for _, told in answers) == [False] * 7 + [True]
    assert len(await notifier.notices()) == 1


async def test_groups_are_told_of_apart_and_grafanas_payload_is_taken(begin: Begin) -> None:
    notifier = await begin()
    assert await notifier.hook(hook(alert(), group="a")) == (200, {"told": True})
    body = hook(alert(), group="b", version="1") | {"orgId": 1, "title": "x", "state": "alerting"}
    assert await notifier.hook(body) == (200, {"told": True})
    assert len(await notifier.notices()) == 2


async def test_only_who_has_the_key_may_tell_and_only_operators_may_read(begin: Begin) -> None:
    notifier = await begin()
    assert (await notifier.hook(hook(alert()), key="wrong"))[0] == 401
    assert await notifier.inbox("orders:read") == 403
    assert (await notifier.inbox())["notices"] == []


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
async def test_a_wrong_payload_is_refused(begin: Begin, wrong: dict[str, object]) -> None:
    notifier = await begin()
    assert (await notifier.hook(hook(alert()) | wrong))[0] == 422


async def test_the_inbox_is_read_page_by_page_and_outlives_the_process(begin: Begin) -> None:
    notifier = await begin()
    for number in range(5):
        await notifier.hook(hook(alert(), group=f"group {number}"))
    await notifier.running.end()
    again = await begin()
    first = await again.inbox(query="?limit=3")
    rest = await again.inbox(query=f"?limit=3&cursor={first['next']}")
    assert (len(first["notices"]), len(rest["notices"]), rest["next"]) == (3, 2, None)
    assert await again.hook(hook(alert(), group="group 0")) == (200, {"told": False})


async def test_a_channels_file_that_is_wrong_is_said_in_one_line_without_its_secrets(
    begin: Begin,
) -> None:
    wrong = '[[channel]]\nkind = "slack"\nname = "chat"\nurl = "https://user@hooks/s3cret"\n'
    with pytest.raises(AssertionError) as failure:
        await begin(wrong)
    assert "WEFT_NOTIFIER_CHANNELS: Expected `str` matching regex" in str(failure.value)
    assert "s3cret" not in str(failure.value)
