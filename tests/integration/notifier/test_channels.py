"""The ways to people, each to its real other side: a program, an SMTP server, webhooks."""

import json
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.notifier.channels import channels
from tests.integration.notifier.conftest import Begin, Notifier, alert, hook
from tests.integration.notifier.mail import PostBox, smtp_server
from tests.integration.shop.kit import WEBHOOK_SECRET, until
from tests.ports import free_port
from weft.http import HttpServer, Reply, Request, Routes
from weft.settings import Secret
from weft.webhooks import verify

PASSWORD = "pass-s3cret"
HOOK_PATH = "T000/B000/hook-s3cret"


class Hooks:
    """The far side of the webhooks: keeps what comes, and may be told to refuse."""

    def __init__(self) -> None:
        self.heard: dict[str, list[Request]] = {"slack": [], "teams": [], "any": []}
        self.refuses = 0

    async def take(self, request: Request) -> Reply[None]:
        await request.read()
        if self.refuses:
            self.refuses -= 1
            return Reply(None, 503)
        self.heard[request.path["kind"]].append(request)
        return Reply(None, 200)

    def bodies(self, kind: str, name: str) -> list[Any]:
        return [json.loads(r.raw) for r in self.heard[kind] if name.encode() in r.raw]


class World:
    """The notifier with a channel of each kind, and their other sides."""

    def __init__(self, notifier: Notifier, mail: PostBox, hooks: Hooks, folder: Path) -> None:
        self.notifier = notifier
        self.mail = mail
        self.hooks = hooks
        self.folder = folder

    def mails(self, name: str) -> list[Any]:
        return [mail for mail in self.mail.mails if name in mail["subject"]]

    async def states(self, name: str) -> dict[str, str]:
        [notice, *_] = await self.notifier.notices(name)
        return {one["channel"]: one["state"] for one in notice["deliveries"]}


@pytest.fixture(scope="module")
async def world(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("channels")
    program = folder / "page"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        "told = json.load(sys.stdin)\n"
        "name = told['alerts'][0]['labels']['alertname'] if told['alerts'] else 'storm'\n"
        "seen = json.dumps([told, sys.argv, dict(os.environ)])\n"
        f"pathlib.Path({str(folder)!r}, name).write_text(seen)\n"
        "sys.exit(name == 'Broken')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    hooks = Hooks()
    routes = Routes()
    routes.raw("POST", "/{kind}/{rest...}", hooks.take, public=True)
    server = HttpServer("hooks", routes, port=0)
    await server.start()
    server.open()
    far, smtp = f"http://127.0.0.1:{server.port}", free_port()
    text = f"""
        [[channel]]
        kind = "command"
        name = "page"
        argv = ["{program}", "; touch {folder}/shell"]

        [[channel]]
        kind = "email"
        name = "mail"
        host = "127.0.0.1"
        port = {smtp}
        security = "none"
        username = "weft"
        password = "{PASSWORD}"
        sender = "weft@shop.example"
        to = ["ops@shop.example"]
        title = "$status: $title"
        line = "$summary, at $service_name: see $runbook"

        [[channel]]
        kind = "slack"
        name = "slack"
        url = "{far}/slack/{HOOK_PATH}"
        severities = ["critical"]

        [[channel]]
        kind = "teams"
        name = "teams"
        url = "{far}/teams/{HOOK_PATH}"

        [[channel]]
        kind = "webhook"
        name = "any"
        url = "{far}/any/{HOOK_PATH}"
        secret = "{WEBHOOK_SECRET}"
    """
    with smtp_server(smtp) as mail:
        notifier = await begin(text, WEFT_STORM_LIMIT="30")
        yield World(notifier, mail, hooks, folder)
        await notifier.running.end()
    await server.stop()
    assert PASSWORD not in notifier.running.output
    assert "hook-s3cret" not in notifier.running.output


async def all_but_slack(world: World, name: str) -> bool:
    return await world.states(name) == dict.fromkeys(("page", "mail", "teams", "any"), "sent")


async def test_a_message_reaches_every_channel_that_wants_it_and_its_end_too(world: World) -> None:
    for status in ("firing", "resolved"):
        await world.notifier.hook(hook(alert(status, name="Everywhere")))
        await until(lambda: all_but_slack(world, "Everywhere"))
    assert len(world.hooks.bodies("teams", "Everywhere")) == 2
    subjects = [mail["subject"] for mail in world.mails("Everywhere")]
    assert subjects == [
        f"{status}: [{status.upper()}] Everywhere (orders): 3 messages are dead"
        for status in ("firing", "resolved")
    ]


async def test_an_email_is_made_by_its_templates_and_sent_after_a_login(world: World) -> None:
    told = {"summary": "one\nBcc: all@shop.example", "runbook": "docs/runbooks/Mail.md"}
    await world.notifier.hook(hook(alert(name="Mail", annotations=told)))
    await until(lambda: all_but_slack(world, "Mail"))
    [mail] = world.mails("Mail")
    assert mail["subject"] == "firing: [FIRING] Mail (orders): one Bcc: all@shop.example"
    assert (mail["from"], mail["to"], mail["bcc"]) == (
        "weft@shop.example",
        "ops@shop.example",
        None,
    )
    assert "at orders: see docs/runbooks/Mail.md" in mail.get_content()
    assert ("weft", PASSWORD) in world.mail.logins


async def test_a_program_gets_the_message_on_its_input_no_shell_and_no_environment(
    world: World,
) -> None:
    await world.notifier.hook(hook(alert(name="Program")))
    await until(lambda: all_but_slack(world, "Program"))
    told, argv, environment = json.loads((world.folder / "Program").read_text())
    assert told["title"] == "[FIRING] Program (orders): 3 messages are dead"
    assert argv[1:] == [f"; touch {world.folder}/shell"]
    assert not (world.folder / "shell").exists()
    assert not any(name.startswith("WEFT_") for name in environment)


async def test_what_a_channel_does_not_take_is_delivered_later_and_holds_up_no_other(
    world: World,
) -> None:
    world.mail.refuses = 2
    world.hooks.refuses = 1
    await world.notifier.hook(hook(alert(name="Later")))
    await until(lambda: all_but_slack(world, "Later"))
    assert len(world.mails("Later")) == 1
    [notice] = await world.notifier.notices("Later")
    attempts = {one["channel"]: one["attempts"] for one in notice["deliveries"]}
    assert attempts["mail"] == 3
    assert attempts["page"] == 1


async def test_why_a_channel_failed_is_kept_without_its_address(world: World) -> None:
    await world.notifier.hook(hook(alert(name="Broken")))

    async def why() -> str | None:
        [notice] = await world.notifier.notices("Broken")
        errors = {one["channel"]: one["error"] for one in notice["deliveries"]}
        error: str | None = errors["page"]
        return error

    assert await until(why) == "the program ended with 1"


async def test_slack_and_teams_get_cards_and_a_webhook_is_signed(world: World) -> None:
    worse = alert(name="Cards", labels={"severity": "critical"}, annotations={"summary": "<a&b>"})
    await world.notifier.hook(hook(worse))

    async def everywhere() -> bool:
        states = await world.states("Cards")
        return len(states) == 5 and set(states.values()) == {"sent"}

    await until(everywhere)
    [slack] = world.hooks.bodies("slack", "Cards")
    assert slack["text"] == "[FIRING] Cards (orders): &lt;a&amp;b&gt;"
    assert slack["blocks"][0]["text"] == {"type": "mrkdwn", "text": f"*{slack['text']}*"}
    [teams] = world.hooks.bodies("teams", "Cards")
    card = teams["attachments"][0]["content"]
    assert (card["type"], card["body"][0]["color"]) == ("AdaptiveCard", "attention")
    [signed] = [r for r in world.hooks.heard["any"] if b"Cards" in r.raw]
    [notice] = await world.notifier.notices("Cards")
    assert verify([Secret(WEBHOOK_SECRET)], signed.headers, signed.raw) == notice["identity"]
    assert json.loads(signed.raw)["type"] == "alert.firing"


async def test_of_a_storm_a_channel_gets_so_many_a_minute_and_the_inbox_all(world: World) -> None:
    for number in range(40):  # of those in hand at once each may be the last that fits
        await world.notifier.hook(hook(alert(name="Storm"), group=f"storm {number}"))
    notices = await world.notifier.notices("Storm")
    assert len(notices) == 40
    mails = [
        one["state"] for each in notices for one in each["deliveries"] if one["channel"] == "mail"
    ]
    assert 10 <= mails.count("held") <= 40
    assert mails.count("held") + sum(state in ("waiting", "sent") for state in mails) == 40


def test_the_settings_of_channels_show_no_secret_of_themselves() -> None:
    text = '[[channel]]\nkind = "slack"\nname = "chat"\nurl = "https://hooks.example/s3cret"\n'
    [channel] = channels(Secret(text))
    assert "s3cret" not in repr(vars(channel).get("_settings"))
