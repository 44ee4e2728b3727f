"""What all operators' pages share: head, navigation, notices, and the sign-in form."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.gateway.ops.markup import Markup, element, together

STYLE: Final = Path(__file__).with_name("style.css").read_bytes()
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}


def page(title: str, *content: object, subject: str = "") -> bytes:
    """Return a whole page; `subject` is who is signed in, "" for nobody."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · Weft"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href="/ops/style.css"),
    )
    body = element(
        "body",
        element("a", "Skip to content", class_="skip", href="#content"),
        element(
            "header",
            element("a", "Weft operations", class_="home", href="/ops"),
            element("a", "Errors", href="/ops/errors") if subject else None,
            element("a", "Inbox", href="/ops/inbox") if subject else None,
            _who(subject),
        ),
        element("main", element("h1", title), *content, id="content"),
    )
    html = together(Markup("<!doctype html>"), element("html", head, body, lang="en"))
    return html.encode()


def notice(text: str, *more: object) -> Markup:
    """Return a paragraph about something that is wrong."""
    return element("p", text, *more, class_="notice", role="alert")


def sign_in(after: str, *, wrong: str = "", elsewhere: bool = False) -> bytes:
    """Return the form for a token; `after` is the page that it leads to.

    `wrong` is what was wrong with the last one. With `elsewhere`, the visitor followed another
    site's link, with which no cookie comes: they may be signed in.
    """
    known = element("p", "Already signed in? ", element("a", "Continue", href=after), ".")
    return page(
        "Sign in",
        notice(wrong) if wrong else None,
        known if elsewhere else None,
        element(
            "form",
            element("label", "Token with the scope ops", for_="token"),
            element(
                "input",
                id="token",
                name="token",
                type="password",
                autocomplete="off",
                required=True,
                autofocus=True,
                maxlength=8192,
            ),
            element("input", type="hidden", name="after", value=after),
            element("button", "Sign in", type="submit"),
            class_="sign-in",
            method="post",
            action="/ops/sign-in",
        ),
        element("p", "To get one: ", element("code", "weft token --subject you --scope ops")),
    )


def clock(at: datetime) -> Markup:
    """Return a time of day, UTC; the whole time for programs and on hovering."""
    utc = at.astimezone(UTC)
    whole = utc.isoformat(timespec="milliseconds")
    return element("time", utc.strftime("%H:%M:%S"), datetime=whole, title=whole)


def _who(subject: str) -> Markup | None:
    if not subject:
        return None
    button = element("button", "Sign out", type="submit")
    form = element("form", button, method="post", action="/ops/sign-out")
    return element("div", element("span", subject, class_="subject"), form, class_="who")
