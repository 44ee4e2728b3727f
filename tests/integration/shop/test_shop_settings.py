"""Settings of these services that are missing or wrong: one line that names them, exit code 2."""

import subprocess
import sys

import pytest

from tests.integration.shop.kit import CARD_KEY, ROOT, WEBHOOK_SECRET, environment

GOOD = {
    "WEFT_DATABASE_URL": "postgresql://nobody:hidden@127.0.0.1:9/none",
    "WEFT_BROKER_URL": "amqp://nobody:hidden@127.0.0.1:9/none",
    "WEFT_JWKS": "none.json",
    "WEFT_CARD_PROVIDER_KEY": CARD_KEY,
    "WEFT_WEBHOOK_SECRET": WEBHOOK_SECRET,
}


def start(service: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    ("service", "missing"),
    [
        ("inventory", "WEFT_DATABASE_URL"),
        ("inventory", "WEFT_JWKS"),
        ("payments", "WEFT_BROKER_URL"),
        ("payments", "WEFT_CARD_PROVIDER_KEY"),
        ("card_provider", "WEFT_WEBHOOK_SECRET"),
    ],
)
def test_a_missing_setting_is_named(service: str, missing: str) -> None:
    done = start(service, **{name: value for name, value in GOOD.items() if name != missing})
    assert done.returncode == 2
    assert done.stderr.startswith(missing)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("inventory", "WEFT_SEED_PRODUCTS", "yes"),
        ("payments", "WEFT_CARD_PROVIDER_TIMEOUT", "soon"),
        ("payments", "WEFT_WEBHOOK_SECRET", "whsec_hidden"),
        ("card_provider", "WEFT_WEBHOOK_SECRET", "whsec_hidden"),
        ("card_provider", "WEFT_NOTICES", "once,sometimes"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_told(
    service: str, name: str, value: str
) -> None:
    done = start(service, **(GOOD | {name: value}))
    assert done.returncode == 2
    assert name in done.stderr
    assert "hidden" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
