"""Demonstrations: a picture that follows its sliders, and one to point at.

One points with the mouse, a finger, or the arrow keys.
"""

import anywidget
import ipywidgets
import traitlets

from repro.pages.show import to_png

SCRIPT = """
function render({ model, el }) {
  el.innerHTML = `<div class="repro-pointer" tabindex="0" role="application"
      aria-roledescription="picture to point at"><img alt=""><span class="cross"></span></div>
    <div class="repro-pointer-says" aria-live="polite"></div>`;
  const box = el.firstChild, image = box.querySelector("img"), cross = box.querySelector(".cross"), says = el.lastChild;
  const between = (x, low, high) => Math.min(Math.max(x, Math.min(low, high)), Math.max(low, high));
  const set = (x, y) => {
    const [left, bottom, right, top] = model.get("extent"), step = model.get("step");
    const whole = value => Math.round(value / step) * step;
    const next = [between(whole(x), left, right), between(whole(y), bottom, top)], now = model.get("value");
    if (next[0] === now[0] && next[1] === now[1]) return;
    model.set("value", next);
    model.save_changes();
  };
  const place = () => {
    const [left, bottom, right, top] = model.get("extent"), [x0, y0, x1, y1] = model.get("frame");
    const [x, y] = model.get("value");
    cross.style.left = 100 * (x0 + (x1 - x0) * (x - left) / (right - left)) + "%";
    cross.style.top = 100 * (y0 + (y1 - y0) * (y - bottom) / (top - bottom)) + "%";
    const named = model.get("names").map((name, i) => name && name + " " + +[x, y][i].toFixed(1)).filter(Boolean);
    says.textContent = named.join(", ") + " \\u00b7 point, drag, or arrow keys";
  };
  const picture = () => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
    image.style.width = model.get("width") + "px";
    box.setAttribute("aria-label", model.get("description") + ". The arrow keys move the mark.");
    place();
  };
  const point = event => {
    const [left, bottom, right, top] = model.get("extent"), [x0, y0, x1, y1] = model.get("frame");
    const seen = image.getBoundingClientRect();
    const across = (event.clientX - seen.left) / seen.width, down = (event.clientY - seen.top) / seen.height;
    set(left + (right - left) * (across - x0) / (x1 - x0), bottom + (top - bottom) * (down - y0) / (y1 - y0));
  };
  box.addEventListener("pointerdown", event => { box.setPointerCapture(event.pointerId); point(event); });
  box.addEventListener("pointermove", event => { if (event.buttons || model.get("hover")) point(event); });
  box.addEventListener("keydown", event => {
    const [left, bottom, right, top] = model.get("extent"), [x, y] = model.get("value");
    const step = model.get("step") * (event.shiftKey ? 5 : 1), upwards = top > bottom ? step : -step;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, upwards], ArrowDown: [0, -upwards] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    set(x + moves[event.key][0], y + moves[event.key][1]);
  });
  for (const name of ["png", "description"]) model.on("change:" + name, picture);
  model.on("change:value", place);
  picture();
  const label = tries => {  // a colour picker beside it has a name for its text alone
    const beside = el.closest(".jp-OutputArea-output")?.querySelectorAll("input[type=color]") ?? [];
    for (const input of beside) input.setAttribute("aria-label", "pick a colour");
    if (tries) setTimeout(() => label(tries - 1), 250);
  };
  label(20);
}
export default { render };
"""

LOOKS = """
.repro-pointer { position: relative; display: inline-block; cursor: crosshair; touch-action: none; }
.repro-pointer img { display: block; max-width: 100%; user-select: none; pointer-events: none; }
.repro-pointer:focus-visible { outline: 2px solid #1a66c9; }
.repro-pointer .cross { position: absolute; width: 13px; height: 13px; margin: -8.5px; border: 2px solid black;
  border-radius: 50%; box-shadow: 0 0 0 2px white, inset 0 0 0 1px white; pointer-events: none; }
.repro-pointer-says { font-size: 12px; }
"""


PICTURE = """
function render({ model, el }) {
  el.innerHTML = `<img class="widget-image">`;
  const image = el.firstChild;
  const show = () => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
    image.style.width = model.get("width") + "px";
    image.style.maxWidth = "100%";
    image.alt = model.get("alt");
  };
  for (const name of ["value", "alt", "width"]) model.on("change:" + name, show);
  show();
  const label = tries => {
    const demo = el.closest(".repro-demo");
    const sliders = demo ? demo.querySelectorAll(".widget-slider, .widget-inline-hbox") : [];
    for (const slider of sliders) {
      const name = slider.querySelector(".widget-label")?.textContent;
      const handle = slider.querySelector(".noUi-handle"), number = slider.querySelector(".widget-readout");
      if (name && handle) handle.setAttribute("aria-label", name);
      if (name && number) {
        number.setAttribute("role", "textbox");
        number.setAttribute("aria-label", name + ", as a number");
      }
    }
    if (tries) setTimeout(() => label(tries - 1), 250);
  };
  label(20);
}
export default { render };
"""


class Picture(anywidget.AnyWidget):
    """A PNG that can be replaced, with an alternative text, which ipywidgets.Image has not.

    value: PNG bytes.  alt: what it shows, in words.  width: pixels.  It also gives the sliders of its demonstration
    the names that ipywidgets writes beside them only for the eye.
    """

    _esm = PICTURE
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int().tag(sync=True)


class Pointer(anywidget.AnyWidget):
    """A Figure whose first axes can be pointed at: `value` is (x, y) in their units, in whole steps.

    Like a slider, it has a `description`, for those who cannot see the picture. names: of the two coordinates, "" for
    one that does not matter. step: of value and arrow keys (five with Shift). hover: whether the mouse's button need
    not be held down.
    """

    _esm, _css = SCRIPT, LOOKS
    png = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int().tag(sync=True)  # pixels
    extent = traitlets.List(traitlets.Float()).tag(sync=True)  # left, bottom, right, top of the axes, their units
    frame = traitlets.List(traitlets.Float()).tag(sync=True)  # the axes in the picture: left, bottom, right, top, 0..1
    value = traitlets.List(traitlets.Float()).tag(sync=True)
    step = traitlets.Float().tag(sync=True)
    hover = traitlets.Bool().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)

    def __init__(self, figure, value, description, names=("x", "y"), step=1.0, hover=False):
        super().__init__(value=list(value), description=description, names=list(names), step=step, hover=hover)
        self.point_into(figure)

    def point_into(self, figure):
        """Another Figure to point at."""
        png = to_png(figure)  # this also lays the axes out
        axes = figure.axes[0]
        box = axes.get_position()
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        with self.hold_sync():
            self.extent, self.frame = [left, bottom, right, top], [box.x0, 1 - box.y0, box.x1, 1 - box.y1]
            self.width, self.png = round(figure.get_figwidth() * figure.get_dpi()), png


def slider_demo(draw, alt, **sliders):
    """A picture that follows its sliders: draw(**values) -> Figure.  Returns a widget.

    sliders: ipywidgets by the name of the parameter of `draw` that they set; a `Pointer` stands beside the
    picture, the others above. The picture is the PNG of a `Picture` whose value is set by `observe`: no
    Output widget, which now and then hangs an unattended run.
    """
    values = lambda: {name: slider.value for name, slider in sliders.items()}
    first = draw(**values())
    width = round(first.get_figwidth() * first.get_dpi())
    picture = Picture(value=to_png(first), alt=alt, width=width)
    places = [axes.get_position() for axes in first.axes]

    def redraw(change):
        figure = draw(**values())
        if len(figure.axes) == len(places):  # laid out once: nothing jumps while it is dragged
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, places, strict=True):
                axes.set_position(place)
        picture.value = to_png(figure)

    pointers = [slider for slider in sliders.values() if isinstance(slider, Pointer)]
    others = [slider for slider in sliders.values() if not isinstance(slider, Pointer)]
    for name, slider in sliders.items():
        slider.description = slider.description or name
        slider.observe(redraw, names="value")
    for slider in others:
        slider.continuous_update = True
        slider.style.description_width = "initial"
    wrapping = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
    demo = ipywidgets.VBox([*others, ipywidgets.HBox([*pointers, picture], layout=wrapping)])
    return demo.add_class("repro-demo")
