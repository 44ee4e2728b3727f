"""`weft faults` and `weft flags`: what is switched on for a while, and for a share of users."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Final

import typer

from stack import flags
from stack.cli import show, switches
from stack.cli.output import FAILED, USAGE
from stack.flags import PERCENT, RATE, SECONDS, Kind
from stack.system import System
from weft.flags.document import LONGEST, Fault, Feature, Flag, FlagsError, utc_now
from weft.settings import SettingsError, duration

faults = typer.Typer(
    help="Faults that are switched on for a while, to see what they do.", no_args_is_help=True
)
features = typer.Typer(help="Features that a share of the users has.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
_USUAL: Final = "10m"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(faults, name="faults")
    app.add_typer(features, name="flags")


@faults.command("list")
def list_faults(as_json: Json = False) -> None:
    """Show the faults that there are, those that are on, and the feature flags that are old."""
    with _told():
        system = System.load()
        document = flags.current(system)
        switches.show_faults(document, allowed=flags.allowed(system), as_json=as_json)
        if not as_json:
            switches.show_old(document)


@faults.command()
def on(
    name: Annotated[str, typer.Argument(help="A fault of `list`.")],
    percent: Annotated[float | None, typer.Option(help="For faults of a percentage.")] = None,
    delay: Annotated[
        str | None, typer.Option(metavar="DURATION", help="For slow ones, such as 2s.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="For faults of so much a second.")] = None,
    service: Annotated[str | None, typer.Option(help="Where it is.")] = None,
    for_: Annotated[
        str,
        typer.Option("--for", metavar="DURATION", help="It ends by itself, after 1h at most."),
    ] = _USUAL,
) -> None:
    """Switch a fault on for a while."""
    with _told():
        kind = _kind(name)
        given = {
            PERCENT: percent,
            SECONDS: None if delay is None else _duration("--delay", delay),
            RATE: rate,
        }
        value = _value(kind, given)
        where = _place(kind, service)
        until = utc_now() + _lasting(for_)
        system = System.load()
        if not system.home.exists():
            raise FlagsError("there is no system yet: weft up")
        if not flags.allowed(system):
            raise FlagsError("the services of this system take no faults: WEFT_FAULTS=1 weft up")
        fault = Fault(service=where, value=value, until=until)
        flags.change(system, lambda all_: all_.__setitem__(name, fault))
        switches.show_on(kind, fault)


@faults.command()
def off(
    name: Annotated[str | None, typer.Argument(help="A fault; else all of them.")] = None,
) -> None:
    """Switch a fault off, or all of them."""
    with _told():
        if name is not None:
            _kind(name)
        ended: list[str] = []

        def edit(all_: dict[str, Flag]) -> None:
            for each, flag in list(all_.items()):
                if isinstance(flag, Fault) and name in (None, each):
                    ended.append(each)
                    del all_[each]

        flags.change(_existing(), edit)
        switches.show_off(ended, name)


@features.command("list")
def list_features(as_json: Json = False) -> None:
    """Show the feature flags with share, owner and age, and which of them are old."""
    with _told():
        switches.show_features(flags.current(System.load()), as_json=as_json)


@features.command("set")
def set_feature(
    name: Annotated[str, typer.Argument(help="Such as volume-discount.")],
    percent: Annotated[float, typer.Option(min=0, max=100, help="The share of users.")],
    owner: Annotated[str | None, typer.Option(help="Who decides about it; for a new one.")] = None,
) -> None:
    """Give a share of the users a feature. Its age counts from the first time."""
    with _told():
        service = _feature(name)

        def edit(all_: dict[str, Flag]) -> None:
            old = all_.get(name)
            known = old if isinstance(old, Feature) else None
            decides = owner or (known.owner if known else "")
            if not decides:
                raise SettingsError("--owner: expected who decides about it")
            since = known.since if known else utc_now().date()
            all_[name] = Feature(service=service, percent=percent, owner=decides, since=since)

        flags.change(_existing(), edit)
        show.note(f"{name}: {percent:g} % of the users")


@features.command()
def drop(name: Annotated[str, typer.Argument(help="A feature flag of `list`.")]) -> None:
    """Take a feature flag away: nobody has the feature any more."""
    with _told():

        def edit(all_: dict[str, Flag]) -> None:
            if not isinstance(all_.get(name), Feature):
                raise FlagsError(f"there is no feature flag {name}")
            del all_[name]

        flags.change(_existing(), edit)
        show.note(f"{name}: gone")


def _existing() -> System:
    system = System.load()
    if not system.home.exists():
        raise FlagsError("there is no system yet: weft up")
    return system


def _kind(name: str) -> Kind:
    kind = flags.find(name)
    if kind is None:
        known = ", ".join(kind.name for kind in flags.FAULTS)
        raise SettingsError(f"{name} is not a fault: expected one of {known}")
    return kind


def _feature(name: str) -> str:
    """Return the service that knows the feature."""
    service = flags.FEATURES.get(name)
    if service is None:
        raise SettingsError(f"{name} is not a feature: expected one of {', '.join(flags.FEATURES)}")
    return service


def _value(kind: Kind, given: dict[str, float | None]) -> float:
    options = {PERCENT: "--percent", SECONDS: "--delay", RATE: "--rate"}
    for unit, value in given.items():
        if value is not None and unit != kind.unit:
            wanted = options.get(kind.unit)
            raise SettingsError(
                f"{options[unit]} is not for {kind.name}" + (f", {wanted} is" if wanted else "")
            )
    value = given.get(kind.unit)
    if value is None:
        return kind.usual
    if not 0 < value <= kind.most:
        raise SettingsError(f"{options[kind.unit]}: expected more than 0, at most {kind.most:g}")
    return value


def _place(kind: Kind, service: str | None) -> str:
    if service is None:
        return kind.service
    if service not in flags.places(kind):
        expected = ", ".join(flags.places(kind))
        raise SettingsError(f"--service {service}: expected one of {expected}")
    return service


def _lasting(text: str) -> timedelta:
    seconds = _duration("--for", text)
    if not 0 < seconds <= LONGEST.total_seconds():
        raise SettingsError("--for: expected more than 0, at most 1h")
    return timedelta(seconds=seconds)


def _duration(option: str, text: str) -> float:
    try:
        return duration(text)
    except ValueError:
        raise SettingsError(f"{option}: expected a duration such as 30s, 500ms or 2m") from None


@contextmanager
def _told() -> Iterator[None]:
    """Turn what can go wrong into a line and an exit code."""
    try:
        yield
    except SettingsError as error:
        show.error(str(error))
        raise typer.Exit(USAGE) from None
    except FlagsError as error:
        show.error(str(error))
        raise typer.Exit(FAILED) from None
