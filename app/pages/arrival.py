"""The page on which a buyer from a marketplace arrives.

Owns its words and its look. Leaves what happened to the route. It needs no script; every value is text that is escaped
here, and the policy of the page allows its own style and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6570; --paper: #f6f7f9; --card: #ffffff; --line: #dde2e7; --field: #87919d;
  --accent: #175cd3; --on-accent: #ffffff; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef0; --soft: #a3adb8; --paper: #111417; --card: #1a1e23;
  --line: #2e353d; --field: #6b7683; --accent: #84adff; --on-accent: #0b1220; --bad: #fda29b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; padding: 3rem 1.25rem; }
.seller { color: var(--soft); margin: 0 0 1rem; font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.75rem; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .75rem; }
h1.bad { color: var(--bad); }
h2 { font-size: 1rem; margin: 1.75rem 0 .25rem; }
p { margin: 0 0 .75rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: 1.25rem 0 0; font-size: .9375rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
label { display: block; margin: .9rem 0 .25rem; font-weight: 600; }
label span { color: var(--soft); font-weight: 400; }
input { width: 100%; padding: .6rem .7rem; font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--field); border-radius: 8px; }
button { margin-top: 1.25rem; padding: .65rem 1.2rem; font: inherit; font-weight: 600; color: var(--on-accent);
  background: var(--accent); border: 0; border-radius: 8px; cursor: pointer; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.small { color: var(--soft); font-size: .875rem; margin: 1.25rem 0 0; }
@media (max-width: 26rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""


@dataclass(frozen=True, slots=True)
class Question:
    """One field of the form: its name, label, kind of input, and whether it may stay empty."""

    name: str
    label: str
    kind: str = "text"
    autocomplete: str = "off"
    is_optional: bool = False


QUESTIONS = (
    Question("company", "Company", autocomplete="organization"),
    Question("name", "Your name", autocomplete="name"),
    Question("email", "Email", "email", autocomplete="email"),
    Question("account", "Account that you have with us already", is_optional=True),
)


def page(
    seller: str,
    title: str,
    paragraphs: Sequence[str],
    *,
    facts: Sequence[tuple[str, str]] = (),
    ticket: str = "",
    is_bad: bool = False,
) -> str:
    """The whole page. With a `ticket` it asks who the buyer is; the form goes back to the same address."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – {escape(seller)}</title><style>{_STYLE}</style></head>"
        f'<body><main><p class="seller">{escape(seller)}</p><div class="card">'
        f"<h1{' class=bad' if is_bad else ''}>{escape(title)}</h1>"
        + "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
        + (f"<dl>{rows}</dl>" if rows else "")
        + (_form(ticket) if ticket else "")
        + "</div></main></body></html>"
    )


def _form(ticket: str) -> str:
    fields = "".join(
        f'<label for="{item.name}">{escape(item.label)}{" <span>(optional)</span>" if item.is_optional else ""}</label>'
        f'<input id="{item.name}" name="{item.name}" type="{item.kind}" maxlength="200" '
        f'autocomplete="{item.autocomplete}"{"" if item.is_optional else " required"}>'
        for item in QUESTIONS
    )
    return (
        '<h2>Who are you?</h2><p>So that we find the right account for you.</p><form method="post">'
        f'<input type="hidden" name="ticket" value="{escape(ticket)}">{fields}<button>Send</button></form>'
        '<p class="small">Nothing is charged by this page; your marketplace bills what you use.</p>'
    )
