"""Point at a place of a photograph, choose the colour of what lies there, see it repainted, save it."""

import html

import ipywidgets
import numpy as np
from PIL import Image

from repro.color import rgb8_to_lab, rgb8_to_lightness
from repro.colorizer.hints import HintError
from repro.pages.photographs import photographs
from repro.pages.widgets import Pointer

CHOICES = 5  # swatches
SHOWN = 320  # pixels, short side of the copy that is pointed at
ASKED = "Point at a thing, then choose its colour; with the keyboard: arrow keys, then Tab to a colour and Enter."


class Repainter:
    """The demonstration: `widget` is what a page shows.

    model: a `Colorizer`.  photos: {name: (H, W, 3) or (H, W) uint8}.  save: what keeps a finished picture, (name,
    (H, W, 3) uint8) -> its path; it gets the photograph at its full size.
    """

    def __init__(self, model, photos, save):
        self.model, self.photos, self.save = model, photos, save
        self.copies = {name: _copy(photo) for name, photo in photos.items()}
        self.hints, self.found = [], []
        self.choice = ipywidgets.Dropdown(options=list(photos), description="photograph")
        height, width = self.copies[self.choice.value].shape[:2]
        figure = photographs([self.copies[self.choice.value]], height=4)
        self.pointer = Pointer(figure, (width // 2, height // 2), "A photograph to point at")
        self.swatches = [ipywidgets.Button(layout={"width": "230px"}) for _ in range(CHOICES)]
        self.own = ipywidgets.ColorPicker(description="another", value="#3355AA", concise=False)
        self.undo, self.keep = (ipywidgets.Button(description=what) for what in ("undo", "save at full size"))
        self.says = ipywidgets.HTML()
        colors = ipywidgets.VBox([*self.swatches, self.own, ipywidgets.HBox([self.undo, self.keep])])
        wrapping = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        both = ipywidgets.HBox([self.pointer, colors], layout=wrapping)
        self.widget = ipywidgets.VBox([self.choice, both, self.says])
        self._listen()
        self._begin()

    def _listen(self):
        self.choice.observe(lambda _: self._begin(), names="value")
        self.pointer.observe(lambda _: self._offer(), names="value")
        for number, swatch in enumerate(self.swatches):
            swatch.on_click(lambda _, number=number: self._hint(self.found[number].ab))
        self.own.observe(lambda change: self._hint(_ab_of(change["new"])), names="value")
        self.undo.on_click(lambda _: self._take_back())
        self.keep.on_click(lambda _: self._save())

    @property
    def place(self):
        """(x, y) of the pixel that is pointed at, in the copy."""
        height, width = self.copies[self.choice.value].shape[:2]
        return [
            int(np.clip(round(at), 0, side - 1)) for at, side in zip(self.pointer.value, (width, height), strict=True)
        ]

    def _begin(self):
        self.hints = []
        height, width = self.copies[self.choice.value].shape[:2]
        self.pointer.value = [width // 2, height // 2]
        self._paint(ASKED)
        self._offer()

    def _offer(self):
        """Show the likely colours at the place, each named by its numbers too."""
        try:
            self.found = self.model.alternatives(self.copies[self.choice.value], *self.place, most=CHOICES)
        except ValueError as error:  # the frame of a scan, or a regression
            self.found = []
            self.says.value = _text(error)
        for swatch, one in zip(self.swatches, [*self.found, *[None] * CHOICES], strict=False):
            swatch.disabled = one is None
            a, b = one.ab if one else (0, 0)
            swatch.description = (
                f"{100 * one.probability:.0f} %: a {round(a):+d}, b {round(b):+d}, {one.hexadecimal}" if one else "—"
            )
            swatch.style.button_color = one.hexadecimal if one else None
            dark = one and rgb8_to_lightness(np.array([one.rgb8], np.uint8))[0] < 55
            swatch.style.text_color = "white" if dark else "black"

    def _hint(self, ab):
        """Colour anew with one more hint, or with another in its place."""
        before, place = self.hints, self.place
        self.hints = [hint for hint in before if list(hint[:2]) != place] + [(*place, ab)]
        try:
            self._paint(f"({place[0]}, {place[1]}) has a {ab[0]:+.0f}, b {ab[1]:+.0f}. {self._number()}.")
        except HintError as error:
            self.hints = before
            self.says.value = _text(error)

    def _take_back(self):
        self.hints = self.hints[:-1]
        self._paint(f"One taken back. {self._number()}.")

    def _number(self):
        return f"{len(self.hints)} hint{'s' * (len(self.hints) != 1)} so far"

    def _paint(self, said):
        name = self.choice.value
        picture = self.model.colorize(self.copies[name], hints=self.hints)
        self.pointer.point_into(photographs([picture], [name[:40]], height=4))
        self.pointer.description = f"{name}, coloured, {self._number()}"
        self.says.value = _text(said)

    def _save(self):
        name = self.choice.value
        small, whole = self.copies[name].shape, self.photos[name].shape
        enlarged = lambda at, axis: min((at + 0.5) * whole[axis] / small[axis] - 0.5, whole[axis] - 1)
        hints = [(max(0, enlarged(x, 1)), max(0, enlarged(y, 0)), ab) for x, y, ab in self.hints]
        try:
            self.says.value = _text(f"Saved: {self.save(name, self.model.colorize(self.photos[name], hints=hints))}")
        except (HintError, OSError) as error:
            self.says.value = _text(f"Not saved: {error}")


def _copy(photo):
    return np.asarray(Image.fromarray(photo).reduce(max(1, min(photo.shape[:2]) // SHOWN)))


def _ab_of(color):
    """ab of a ColorPicker's #RRGGBB."""
    return tuple(map(float, rgb8_to_lab(np.frombuffer(bytes.fromhex(color[1:7]), np.uint8))[1:]))


def _text(said):
    return f'<span role="status">{html.escape(str(said))}</span>'
