"""The study's web application: a page, four small requests, and the pictures of a rater's own pair.

Nothing the browser gets but the pixels tells which picture is the fake: addresses are random and open only to
the rater they were dealt to, all pictures have the same length and the same headers, nothing is cached, and
no reply names the method, the catch trials or the order.
"""

import json
import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from repro.study.guards import names_of, stranger
from repro.study.store import Answer, Refused

STATIC = Path(__file__).parent / "static"
FILES = {
    "/": ("index.html", "text/html"),
    "/study.js": ("study.js", "text/javascript"),
    "/study.css": ("study.css", "text/css"),
}
LONGEST_HEADERS = 8192  # bytes, all together
STATUS = {"stranger": 401, "foreign": 403, "invalid": 422, "conflict": 409, "early": 425, "closed": 403}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",  # a page in JupyterLab may show it
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Limits:
    """What one server takes.

    The longest body (bytes), joins a minute for all together (a class shares one address), requests a second and at
    once for one rater, and raters of a study.
    """

    body: int = 4096
    joins_per_minute: float = 120
    requests_per_second: float = 10
    burst: int = 60
    raters: int = 1000


class Allowance:
    """A token bucket for each key: `burst` at once, `rate` a second in the long run."""

    MOST = 10_000  # keys that are remembered: strangers can invent as many as they like

    def __init__(self, rate, burst, clock=time.monotonic):
        self.rate, self.burst, self.clock, self._left = rate, burst, clock, {}

    def take(self, key):
        """Take one for this key, if there is one left, and say whether there was."""
        now = self.clock()
        left, then = self._left.get(key, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.rate)
        self._left.pop(key, None)
        self._left[key] = (left - (left >= 1), now)  # the longest untouched key stands first
        if len(self._left) > self.MOST:
            self._left.pop(next(iter(self._left)))
        return left >= 1


def make_app(store, limits=None, names=None):
    """The ASGI application of one open Store.  names: the hosts that lead to it, see `guards.stranger`."""
    names = names_of() if names is None else names
    study = StudyEndpoints(store, limits or Limits())
    routes = [Route(path, partial(study.file, *file)) for path, file in FILES.items()]
    routes += [
        Route("/favicon.ico", study.no_icon),
        Route("/api/study", study.about),
        Route("/api/join", study.join, methods=["POST"]),
        Route("/api/state", study.state),
        Route("/api/answer", study.answer, methods=["POST"]),
        Route("/api/picture/{address}", study.picture),
    ]
    return guarded(Starlette(routes=routes, exception_handlers=handlers()), names)


def guarded(app, names):
    """An ASGI application behind the study's limits.

    Strangers and long headers are turned away, and every answer has HEADERS.
    """

    async def behind(scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                named = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *named]}
            await send(message)

        await (_refusal(scope, names) or app)(scope, receive, send_with_headers)

    return behind


def _refusal(scope, names):
    """The answer to a request that nobody looks at further, or None."""
    if sum(len(name) + len(value) for name, value in scope.get("headers", ())) > LONGEST_HEADERS:
        return _say(431, f"the headers are longer than {LONGEST_HEADERS} bytes", {"Connection": "close"})
    if reason := stranger(scope, names):
        return _say(403, reason, {"Connection": "close"})
    return None


class StudyEndpoints:
    """The requests, over one store."""

    def __init__(self, store, limits):
        self.store, self.limits = store, limits
        self.joins = Allowance(limits.joins_per_minute / 60, max(1, limits.joins_per_minute))
        self.requests = Allowance(limits.requests_per_second, limits.burst)

    async def file(self, name, media_type, request):
        """One of the page's own files."""
        return Response((STATIC / name).read_bytes(), media_type=media_type)

    async def no_icon(self, request):
        """Nothing: browsers ask for an icon, and there is none."""
        return Response(status_code=204)

    async def about(self, request):
        """What the first page says; the same for everybody."""
        study = self.store.study
        return JSONResponse(
            {
                "study": study.fingerprint,
                "practice": study.practice,
                "pairs": study.pairs,
                "display_ms": study.display_ms,
            }
        )

    async def join(self, request):
        """Take a rater in, who has agreed, and say where the sitting stands."""
        body = await read_json(request, self.limits.body)
        if body.get("consent") is not True:
            raise HTTPException(422, "to take part, agree first: consent must be true")
        if not self.joins.take("all"):
            raise HTTPException(429, "many people are joining right now; try again in a minute", {"Retry-After": "5"})
        form = body.get("form")

        def enter():
            token = self.store.join(form if isinstance(form, str) else "", self.limits.raters)
            return {"token": token, **self.store.state(token)}

        return JSONResponse(await run_in_threadpool(enter), 201)

    async def state(self, request):
        """Where a rater's sitting stands."""
        token = self._token(request)
        return JSONResponse(await run_in_threadpool(self.store.state, token))

    async def answer(self, request):
        """Keep an answer; after practice pairs the rater is told what was right."""
        token = self._token(request)
        answer = _read_answer(await read_json(request, self.limits.body))

        def keep():
            recolored = self.store.answer(token, answer)  # told after practice pairs only
            return {"recoloured": recolored, "state": self.store.state(token)}

        return JSONResponse(await run_in_threadpool(keep))

    async def picture(self, request):
        """A picture of the pair at hand."""
        token, address = self._token(request), request.path_params["address"]

        def read():
            return self.store.study.read(self.store.picture(token, address))

        return Response(await run_in_threadpool(read), media_type="image/png")

    def _token(self, request):
        return read_token(request, self.requests)


def read_token(request, allowance):
    """The token that came along, if it has not been used too often."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused("stranger", "this study does not know you; reload the page to take part")
    if not allowance.take(token):
        raise HTTPException(429, "too many requests; wait a moment", {"Retry-After": "1"})
    return token


async def read_json(request, most):
    """The body, a JSON object of at most `most` bytes; another site's form cannot send this type."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "the body must be application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"the body is longer than {most} bytes", {"Connection": "close"})
    try:
        content = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(content, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return content


def _read_answer(body):
    number, choice, shown = body.get("number"), body.get("choice"), body.get("shown_ms")
    reaction, reshown = body.get("reaction_ms"), body.get("reshown", 0)
    if not (
        _is_whole(number)
        and isinstance(choice, str)
        and isinstance(shown, list)
        and len(shown) == 2
        and all(map(_is_number, [*shown, reaction]))
        and _is_whole(reshown)
    ):
        raise HTTPException(
            422,
            "expected number (whole), choice (a picture's address), shown_ms (two numbers), reaction_ms (number), "
            "reshown (whole)",
        )
    return Answer(number, choice, tuple(map(float, shown)), float(reaction), reshown)


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31


def _is_number(value):
    return _is_whole(value) or isinstance(value, float)


def handlers():
    """What is answered where something is wrong: one line, JSON."""
    return {
        HTTPException: _http_error, Refused: _refused, sqlite3.Error: _disk_error, ClientDisconnect: _gone,
        Exception: _error,
    }  # fmt: skip


def _say(status, message, headers=None):
    return JSONResponse({"error": message}, status, headers=headers)


async def _http_error(request, error):
    plain = {404: "there is nothing here", 405: "this address does not take that"}
    return _say(error.status_code, plain.get(error.status_code, error.detail), error.headers)


async def _refused(request, error):
    return _say(STATUS[error.reason], str(error))


async def _gone(request, error):
    return _say(400, "the body did not come")  # which nobody reads


async def _disk_error(request, error):
    return _say(503, "the answer could not be kept just now; it will be sent again", {"Retry-After": "2"})


async def _error(request, error):
    return _say(500, "something went wrong here; the study's owner will find it in the server's output")
