"""The system under chaos: its processes, and the signals that they are sent."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Collection
from typing import Any, Final

from stack import status
from stack.parts import find
from stack.supervisor import Supervisor
from stack.system import System as Stack
from tests.chaos.schedule import KILLED

DEFAULT_MEMORY: Final = "768MiB"
"""As in rabbitmq.conf."""
_POLL: Final = 0.5


class Machine:
    """The programs of one running system, by the names that `weft status` gives them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.stack = Stack.load(environment)

    async def pid(self, name: str, seconds: float = 30) -> int:
        """The process of `name`, waiting while it is being started again; else TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                if pid := (await self._pids()).get(name):
                    return pid
                await asyncio.sleep(_POLL)

    async def kill(self, *names: str) -> None:
        """End all of them at once by SIGKILL."""
        for pid in [await self.pid(name) for name in names]:
            os.kill(pid, signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def paused(self, name: str) -> Any:
        """Stop a process by SIGSTOP; it goes on at the end, if it is there still."""
        pid = await self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def memory(self, limit: str) -> None:
        """Set the memory above which RabbitMQ blocks publishers; raises CalledProcessError."""
        arguments = ("set_vm_memory_high_watermark", "absolute", limit)
        await asyncio.to_thread(self._rabbitmqctl, *arguments)

    async def stop(self, name: str) -> None:
        """Take a part away until `start`."""
        await asyncio.to_thread(Supervisor(self.stack.home).stop, [name])

    async def start(self, name: str) -> None:
        """Bring back a part that was stopped."""
        await asyncio.to_thread(Supervisor(self.stack.home).resume, name)

    async def all_ready(self, seconds: float, names: Collection[str] = KILLED) -> list[str]:
        """Wait until all `names` are ready again; return what is not after `seconds`."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            entries = await asyncio.to_thread(status.entries, self.stack)
            late = [
                f"{one.name} {one.state}"
                for one in entries
                if one.name in names and one.state != "ready"
            ]
            if not late or asyncio.get_running_loop().time() > end:
                return late
            await asyncio.sleep(_POLL)

    async def restarts(self) -> dict[str, int]:
        """How often each program was started again."""
        known = await asyncio.to_thread(status.running, self.stack)
        return {name: max(0, process.starts - 1) for name, process in known.items()}

    async def _pids(self) -> dict[str, int]:
        known = await asyncio.to_thread(status.running, self.stack)
        return {name.removesuffix("-0"): process.pid for name, process in known.items()}

    def _rabbitmqctl(self, *arguments: str) -> None:
        found = find("rabbitmq")
        assert found is not None, "RabbitMQ is not on this machine"
        home, ports = self.stack.home, self.stack.ports
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.data("rabbitmq")),
            "RABBITMQ_NODENAME": "weft@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(ports.of("epmd")),
        }
        command = [str(found.binaries["rabbitmqctl"]), *arguments]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=30)
