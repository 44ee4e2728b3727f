"""Spans for a program's own functions."""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeVar, cast

from weft.telemetry import record
from weft.telemetry.calls import InternalCall

F = TypeVar("F", bound=Callable[..., Any])


def traced(function: F) -> F:
    """Decorate a function: each call is a span, named as the function is, in the current trace.

    Functions, coroutine functions, generators and asynchronous generators; as a decorator of a
    method, below @staticmethod, @classmethod or @property. An exception that leaves the function
    is recorded and marks the span as failed; a cancellation or an iteration that its caller does
    not go on with is no failure. A generator's span lasts from its first item to its end, and what
    is done between two items by its caller is not below it. Arguments are not recorded: add what
    should be found with `fact`.
    """
    if not inspect.isfunction(function):
        raise TypeError(f"traced decorates functions, not {type(function).__name__}")
    begin = functools.partial(_begin, *_names(function))
    wrapper = _WRAPPERS[_kind(function)](function, begin)
    return cast(F, functools.wraps(function)(wrapper))


Begin = Callable[..., InternalCall]


def _names(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the span's name and the function's full one; where it is nested in does not count."""
    short = function.__qualname__.rpartition("<locals>.")[2]
    return short, f"{function.__module__}.{function.__qualname__}"


def _begin(name: str, function: str, *, attach: bool = True) -> InternalCall:
    return record.internal(name, function=function, attach=attach)


def _kind(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function):
        return "asynchronous generator"
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(function) else "function"


def _function(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Awaitable[Any]], begin: Begin) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return await function(*args, **kwargs)

    return call


def _generator(
    function: Callable[..., Generator[Any, Any, Any]], begin: Begin
) -> Callable[..., Generator[Any, Any, Any]]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        items = function(*args, **kwargs)
        with begin(attach=False) as span:
            step: Callable[[], Any] = functools.partial(next, items)
            while True:
                try:
                    with span.current():
                        item = step()
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield item
                except GeneratorExit:
                    with span.current():
                        items.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it goes on into the function
                    step = functools.partial(items.throw, error)
                else:
                    step = functools.partial(items.send, sent)

    return call


def _asynchronous_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], begin: Begin
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        items = function(*args, **kwargs)
        with begin(attach=False) as span:
            step: Callable[[], Awaitable[Any]] = functools.partial(anext, items)
            while True:
                try:
                    with span.current():
                        item = await step()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    with span.current():
                        await items.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - it goes on into the function
                    step = functools.partial(items.athrow, error)
                else:
                    step = functools.partial(items.asend, sent)

    return call


_WRAPPERS: dict[str, Callable[[Any, Begin], Callable[..., Any]]] = {
    "function": _function,
    "coroutine": _coroutine,
    "generator": _generator,
    "asynchronous generator": _asynchronous_generator,
}
