"""A service as a process of its own: it starts, answers, drains, and says what is wrong."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.ports import free_port

PROGRAM = '''
import asyncio
from weft.http import Request, Routes
from weft.errors import Unavailable
from weft.service import Service, run
from weft.settings import Secret, ServiceSettings
from pathlib import Path

class Settings(ServiceSettings, frozen=True, kw_only=True):
    gate: Path
    stubborn: bool = False
    failing: bool = False

class Gate:
    """A dependency that answers while a file exists."""
    name = "gate"
    def __init__(self, settings):
        self.settings = settings
    async def start(self):
        if self.settings.failing:
            raise ValueError("broken")
        while not self.settings.gate.exists():
            await asyncio.sleep(0.02)
    async def check(self):
        if not self.settings.gate.exists():
            raise Unavailable("gate", "closed")
    async def stop(self):
        if self.settings.stubborn:
            await asyncio.sleep(60)

def build(settings):
    service = Service("probe", settings, version="1")
    service.add(Gate(settings))
    routes = Routes()
    @routes.get("/slow", public=True)
    async def slow(request: Request) -> dict:
        settings.gate.with_name("asked").touch()
        await asyncio.sleep(1)
        return {"finished": True}
    service.serve(routes)
    return service

run(build, Settings)
'''


class Probe:
    """The running process and how it is reached."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.gate = folder / "gate"
        self.asked = folder / "asked"

    async def get(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    async def until(self, path: str, status: int) -> Any:
        async with asyncio.timeout(60):
            while True:
                try:
                    answer = await self.get(path)
                except aiohttp.ClientError:
                    answer = (0, None)
                if answer[0] == status:
                    return answer[1]
                await asyncio.sleep(0.02)

    def end(self) -> tuple[int, list[dict[str, Any]]]:
        """Wait for the end; return the exit code and the log records."""
        _, err = self.process.communicate(timeout=60)
        records = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        return self.process.returncode, records


@contextmanager
def probe(folder: Path, **settings: str) -> Iterator[Probe]:
    port = free_port()
    env = {
        **os.environ,
        "WEFT_PORT": str(port),
        "WEFT_GATE": str(folder / "gate"),
        "OTEL_SDK_DISABLED": "true",
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Probe(process, port, folder)
    finally:
        process.kill()
        process.wait()


async def test_a_service_waits_for_its_dependency_and_says_so(tmp_path: Path) -> None:
    with probe(tmp_path) as service:
        report = await service.until("/readyz", 503)
        assert report["status"] == "unavailable"
        by_name = {d["name"]: d for d in report["dependencies"]}
        assert by_name["gate"]["ok"] is False
        assert by_name["gate"]["error"] == "closed"
        status, problem = await service.get("/slow")
        assert (status, problem["status"]) == (503, 503)
        assert (await service.get("/healthz"))[0] == 200

        service.gate.touch()
        assert (await service.until("/readyz", 200))["status"] == "ok"
        assert (await service.until("/slow", 200)) == {"finished": True}
        status, text = await service.get("/metrics")
        assert 'weft_dependency_ready{service="probe",dependency="gate"} 1' in text


async def test_sigterm_finishes_what_is_in_hand_and_exits_0(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    with probe(tmp_path) as service:
        await service.until("/readyz", 200)
        answer = asyncio.create_task(service.get("/slow"))
        while not service.asked.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        assert await answer == (200, {"finished": True})
        code, records = await asyncio.to_thread(service.end)
        assert code == 0
        assert [r["message"] for r in records][-1] == "service stopped"


async def test_a_component_that_does_not_drain_is_cut_off_at_the_deadline(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    with probe(tmp_path, WEFT_STUBBORN="true", WEFT_DRAIN_TIMEOUT="2s") as service:
        await service.until("/readyz", 200)
        service.process.send_signal(signal.SIGTERM)
        code, records = await asyncio.to_thread(service.end)
        late = [r for r in records if r["message"] == "component did not drain in time"]
        assert [r["weft.component"] for r in late] == ["gate"]
        assert code == 0


async def test_sigterm_while_it_waits_for_a_dependency_ends_a_service(tmp_path: Path) -> None:
    with probe(tmp_path) as service:
        await service.until("/readyz", 503)
        service.process.send_signal(signal.SIGTERM)
        assert (await asyncio.to_thread(service.end))[0] == 0


async def test_a_component_that_cannot_start_ends_the_service_with_1(tmp_path: Path) -> None:
    with probe(tmp_path, WEFT_FAILING="1") as service:
        code, records = await asyncio.to_thread(service.end)
        assert code == 1
        (failure,) = [r for r in records if r["message"] == "service cannot start"]
        assert "ValueError: broken" in failure["exception"]


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("WEFT_PORT", "99999", "WEFT_PORT is '99999': expected a whole number from 0 to 65535"),
        ("WEFT_STUBBORN", "yes", "WEFT_STUBBORN is 'yes': expected true, false, 1 or 0"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_exit_code_2(
    tmp_path: Path, variable: str, text: str, line: str
) -> None:
    with probe(tmp_path, **{variable: text}) as service:
        _, err = await asyncio.to_thread(service.process.communicate, timeout=60)
        assert service.process.returncode == 2
        assert err == line + "\n"
