"""Guess the colour: a class marks on its phones what colour it expects, and then sees its guesses beside the network's.

It runs behind the limits of the study's server.  Nothing is written to disk: a phone is a random number, its guess is
kept until the next question comes, and whoever leads the class holds a key that no phone has.
"""

import io
import secrets
import threading
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from repro import decoding
from repro.color import in_gamut, lab_to_rgb8, rgb8_to_lightness
from repro.examples import STRIDE, to_example
from repro.study.guards import names_of
from repro.study.server import STATIC, Allowance, Limits, guarded, handlers, read_json, read_token
from repro.study.store import Refused

FILES = {"/": ("guess.html", "text/html"), "/guess.js": ("guess.js", "text/javascript")}
FILES |= {f"/{name}.css": (f"{name}.css", "text/css") for name in ("study", "guess")}
RIM = 2  # outputs at the photograph's border where nothing is asked
LEAST = 0.0005  # of a probability that is drawn


@dataclass(frozen=True)
class Question:
    """A place in a gray photograph, and what is shown when the class has guessed its colour.

    place: (x, y), 0..1, from the left and from the top.  palette: what can be guessed, [(a, b, "#rrggbb")].
    network: [(a, b, probability)].  mean: of the network's distribution, (a, b).  truth: (a, b).
    """

    gray: bytes = field(repr=False)
    coloured: bytes = field(repr=False)
    place: tuple
    palette: tuple = field(repr=False)
    network: tuple = field(repr=False)
    mean: tuple
    truth: tuple


def questions_of(model, photos, most=8):
    """The places that leave a network most undecided, in as many photographs: a list of `Question`.

    model: a Colorizer that answers with a distribution.  photos: (N, S, S, 3) uint8, S a multiple of 8.
    Raises ValueError for a regression, which has no distribution.
    """
    if model.objective == "regression":
        raise ValueError("a regression has no distribution to show beside the class's; choose another model")
    if most < 1:
        raise ValueError(f"expected at least 1 photograph to guess in, got {most}")
    lightness, true_ab = to_example(photos)
    logits = model.predict(lightness)
    apart = (decoding.mode(logits, model.bins) - decoding.mean(logits, model.bins)).norm(dim=1)
    inner = torch.zeros_like(apart)
    inner[:, RIM:-RIM, RIM:-RIM] = apart[:, RIM:-RIM, RIM:-RIM]
    chosen = inner.flatten(1).amax(1).argsort(descending=True)[:most].tolist()
    found = []
    for index in chosen:
        row, column = divmod(int(inner[index].argmax()), inner.shape[2])
        found.append(
            _question(
                photos[index], logits[index, :, row, column], true_ab[index, row, column], row, column, model.bins
            )
        )
    return found


def _question(photo, logits, truth, row, column, bins):
    height, width = photo.shape[:2]
    light = rgb8_to_lightness(photo)
    lab = torch.cat((torch.full((len(bins), 1), float(light[STRIDE * row, STRIDE * column])), bins), 1)
    palette = lab[in_gamut(lab)]
    colours = ["#" + bytes(rgb8).hex() for rgb8 in lab_to_rgb8(palette)]
    gray = torch.zeros(height, width, 3)
    gray[..., 0] = torch.from_numpy(light)
    shares = logits.softmax(0)
    return Question(
        gray=_png(lab_to_rgb8(gray)),
        coloured=_png(photo),
        place=((STRIDE * column + 0.5) / width, (STRIDE * row + 0.5) / height),
        palette=tuple((*_rounded(ab), colour) for ab, colour in zip(palette[:, 1:], colours, strict=True)),
        network=tuple((*_rounded(bins[q]), round(float(p), 4)) for q, p in enumerate(shares) if p >= LEAST),
        mean=_rounded(shares @ bins),
        truth=_rounded(truth),
    )


def _rounded(ab):
    return tuple(round(float(value), 1) for value in ab)


def _png(rgb8):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb8)).save(buffer, "PNG")
    return buffer.getvalue()


class Game:
    """The questions, one open at a time, and the guesses of the open one.  Safe for threads.

    most: phones, at most.  key: of whoever leads.
    """

    def __init__(self, questions, most=1000):
        if not questions:
            raise ValueError("there is no photograph to ask about")
        self.questions, self.most, self.key = list(questions), most, secrets.token_urlsafe(24)
        self._lock, self._phones, self._guesses = threading.Lock(), set(), {}
        self._number, self._shown = 1, False

    def join(self):
        """A new phone's token.  Raises Refused('closed') when as many as may have joined."""
        with self._lock:
            if len(self._phones) >= self.most:
                raise Refused("closed", f"all {self.most} places are taken")
            token = secrets.token_urlsafe(24)
            self._phones.add(token)
            return token

    def state(self, token):
        """What a phone or the leading screen shows: a dict.

        number, of, shown, guesses (how many), mine (an index into the palette, or None), leads; once it is shown,
        also answer: guesses [(a, b, count)], network [(a, b, probability)], means and truth.
        """
        with self._lock:
            self._known(token)
            found = {
                "number": self._number, "of": len(self.questions), "shown": self._shown,
                "guesses": len(self._guesses), "mine": self._guesses.get(token), "leads": self._leads(token),
            }  # fmt: skip
            return found | ({"answer": self._answer()} if self._shown else {})

    def question(self, token, number):
        """The open Question.  Raises Refused('conflict') for another."""
        with self._lock:
            self._known(token)
            return self._open(number)

    def is_shown(self, number):
        """Whether this question is open and its answer shown."""
        with self._lock:
            return number == self._number and self._shown

    def guess(self, token, number, choice):
        """Keep a phone's guess, an index into the palette; until the answer is shown, another takes its place.

        Raises Refused: 'stranger', 'conflict' for a question that is not open or already answered, 'invalid'.
        """
        with self._lock:
            if token not in self._phones:
                raise Refused("stranger", "reload the page to take part")
            question = self._open(number)
            if self._shown:
                raise Refused("conflict", "the answer is shown already")
            if not 0 <= choice < len(question.palette):
                raise Refused("invalid", f"choice must be 0 to {len(question.palette) - 1}")
            self._guesses[token] = choice

    def lead(self, key, do):
        """Show the answer, or open the next question, which forgets all guesses.  Raises Refused."""
        with self._lock:
            if not self._leads(key):
                raise Refused("stranger", "only the leading screen can do that")
            if do == "show":
                self._shown = True
            elif do == "next":
                self._number, self._shown, self._guesses = self._number % len(self.questions) + 1, False, {}
            else:
                raise Refused("invalid", "do must be show or next")

    def _leads(self, token):
        return secrets.compare_digest(token.encode(), self.key.encode())

    def _known(self, token):
        if token not in self._phones and not self._leads(token):
            raise Refused("stranger", "reload the page to take part")

    def _open(self, number):
        if number != self._number:
            raise Refused("conflict", f"question {number} is not open; question {self._number} is")
        return self.questions[number - 1]

    def _answer(self):
        question = self.questions[self._number - 1]
        guessed = np.array([question.palette[choice][:2] for choice in self._guesses.values()]).reshape(-1, 2)
        places, counts = np.unique(guessed, axis=0, return_counts=True)
        return {
            "guesses": [(*place, count) for place, count in zip(places.tolist(), counts.tolist(), strict=True)],
            "network": question.network,
            "mean_of_guesses": _rounded(guessed.mean(0)) if len(guessed) else None,
            "mean_of_network": question.mean,
            "truth": question.truth,
        }


def make_app(game, limits=None, names=None):
    """The ASGI application of a Game.  limits, names: as for `server.make_app`."""
    endpoints = _Endpoints(game, limits or Limits())
    routes = [Route(path, partial(endpoints.file, *file)) for path, file in FILES.items()]
    routes += [
        Route("/favicon.ico", endpoints.no_icon),
        Route("/api/join", endpoints.join, methods=["POST"]),
        Route("/api/state", endpoints.state),
        Route("/api/question/{number:int}", endpoints.question),
        Route("/api/picture/{number:int}/{which}", endpoints.picture),
        Route("/api/guess", endpoints.guess, methods=["POST"]),
        Route("/api/lead", endpoints.lead, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers=handlers())
    return guarded(app, names_of() if names is None else names)


class _Endpoints:
    """The requests, over one Game."""

    def __init__(self, game, limits):
        self.game, self.limits = game, limits
        self.joins = Allowance(limits.joins_per_minute / 60, max(1, limits.joins_per_minute))
        self.requests = Allowance(limits.requests_per_second, limits.burst)

    async def file(self, name, media_type, request):
        return Response((STATIC / name).read_bytes(), media_type=media_type)

    async def no_icon(self, request):
        return Response(status_code=204)

    async def join(self, request):
        await read_json(request, self.limits.body)
        if not self.joins.take("all"):
            raise HTTPException(429, "many people are joining right now; try again in a minute", {"Retry-After": "5"})
        return JSONResponse({"token": self.game.join()}, 201)

    async def state(self, request):
        return JSONResponse(self.game.state(read_token(request, self.requests)))

    async def question(self, request):
        question = self.game.question(read_token(request, self.requests), request.path_params["number"])
        return JSONResponse({"place": question.place, "palette": question.palette})

    async def picture(self, request):
        token, number, which = read_token(request, self.requests), *map(request.path_params.get, ("number", "which"))
        question = self.game.question(token, number)
        if which not in ("gray", "coloured"):
            raise HTTPException(404)
        if which == "coloured" and not self.game.is_shown(number):
            raise Refused("early", "the answer is not shown yet")
        return Response(getattr(question, which), media_type="image/png")

    async def guess(self, request):
        token, body = read_token(request, self.requests), await read_json(request, self.limits.body)
        number, choice = body.get("number"), body.get("choice")
        if any(not isinstance(value, int) or isinstance(value, bool) for value in (number, choice)):
            raise HTTPException(422, "expected number and choice, whole numbers")
        self.game.guess(token, number, choice)
        return JSONResponse(self.game.state(token))

    async def lead(self, request):
        key, body = read_token(request, self.requests), await read_json(request, self.limits.body)
        self.game.lead(key, body.get("do"))
        return JSONResponse(self.game.state(key))
