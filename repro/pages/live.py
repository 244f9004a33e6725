"""The demonstrations of the site: what a browser needs to go on with them where no kernel runs.

`make site` writes the data of a page beside it as a script that the browser loads from the file system, and
docs/static/live.js computes from it what the page's draw function computes in JupyterLab.  The pictures to point at
and their keyboard are those of `Pointer`.
"""

import base64
import contextlib
import io
import json

import matplotlib
import numpy as np

from repro import decoding, paths
from repro.bins import ab_bins
from repro.colorizer import trained_models
from repro.datasets.sources import prepared_photographs
from repro.evaluation import baselines
from repro.evaluation.raw_accuracy import distances
from repro.examples import STRIDE, to_example
from repro.pages import figures
from repro.pages.widgets import LOOKS, SCRIPT, Pointer

DEMOS = {  # page: {its draw function: the demonstration in live.js}
    "01_gamut_and_prior": {"draw_weights": "weights", "draw_brush": "brush"},
    "02_soft_encoding": {"draw": "neighbours"},
    "05_decoding": {"draw": "temperature", "draw_pixel": "pixel", "draw_split": "split"},
    "06_raw_accuracy": {"draw": "threshold"},
}
PHOTOGRAPHS = 16  # that a page's demonstrations show, at most
LARGEST = 3 << 20  # bytes of logits that a page brings along, at most: a phone loads them before it shows anything


def data_of(page, parameters=None):
    """The numbers of a page's demonstrations, ready for `script`: a dict.

    parameters: with which the page was executed; else its own defaults.  Reads what the page reads with them: what
    the pipeline made or, by hand, the small networks that come along.
    None where the page's models answer with no distribution that a browser can decode.
    Raises FileNotFoundError for a page of the pipeline whose outputs are gone.
    """
    return _DATA[page](parameters or {})


def script(page, data):
    """The data of a page as JavaScript: arrays of numbers become text (`packed`), all else JSON."""
    text = json.dumps(data, default=packed, separators=(",", ":"))
    return f"(window.reproLive = window.reproLive || {{data: {{}}}}).data[{json.dumps(page)}] = {text};\n"


def packed(array):
    """An array in base64 with its kind and shape.  float16, float32, float64 or uint8, little-endian."""
    array = np.ascontiguousarray(array)
    kind = {"float16": "half", "float32": "float", "float64": "double", "uint8": "bytes"}[array.dtype.name]
    little = array.astype(array.dtype.newbyteorder("<"))
    return {kind: base64.b64encode(little.tobytes()).decode(), "shape": list(array.shape)}


def pointing():
    """The script and the style sheet of `Pointer`, for a page without a module loader."""
    body = SCRIPT.replace("export default { render };", "window.reproLive.pointer = render;")
    return f"(() => {{{body}}})();\n", LOOKS


def as_half(logits):
    """Logits (N, Q, h, w) as float16, each pixel's largest at 0: softmax stays, and what matters is most exact."""
    return (logits - logits.amax(1, keepdim=True)).half().numpy()


def shown(parameters):
    """Models {objective: Colorizer} and test photographs (N, S, S, 3) uint8 of pages 05 and 06."""
    pipeline = parameters.get("pipeline", False)
    with contextlib.redirect_stdout(io.StringIO()):
        models = trained_models(pipeline)
    photos = prepared_photographs("test", pipeline).photos
    size, most = photos.shape[1] // 8 * 8, min(PHOTOGRAPHS, parameters.get("photographs", PHOTOGRAPHS))
    return models, np.ascontiguousarray(photos[:most, :size, :size])


def _pointer(figure, *arguments, **options):
    """What live.js needs of a `Pointer`."""
    pointer = Pointer(figure, *arguments, **options)
    names = "width", "extent", "frame", "value", "step", "hover", "names", "description"
    found = {name: getattr(pointer, name) for name in names}
    pointer.close()
    return found | {"png": np.frombuffer(pointer.png, np.uint8)}


def _prior_and_weights(parameters):
    counted = np.load(paths.find("prior.npz", parameters.get("pipeline", False), "page 01"))
    figure, axis = figures.new_figure(width=4.0, height=3.6)
    axis.scatter(*ab_bins().T, c=figures.bin_colors(ab_bins()), s=26, marker="s")
    figures.ab_axes(axis)
    return {
        "bins": ab_bins().numpy(),
        "prior": np.asarray(counted["prior"], np.float64),
        "uniform_mix": parameters.get("uniform_mix", 0.5),
        "smoothing": parameters.get("smoothing", 5.0),
        "palette": _pointer(figure, (60, 40), "The bins in the ab plane", ("a", "b"), step=5),
        "viridis": np.uint8(np.round(255 * matplotlib.colormaps["viridis_r"](np.linspace(0, 1, 256))[:, :3])),
    }


def _soft_encoding(parameters):
    figure, axis = figures.new_figure(width=3.6, height=3.7)
    figures.gamut(axis, ab_bins())
    return {
        "bins": ab_bins().numpy(),
        "neighbours": parameters.get("neighbours", 5),
        "sigma": parameters.get("sigma", 5.0),
        "plane": _pointer(figure, (3, 4), "The colour, in the ab plane", ("a", "b")),
    }


def _decoding(parameters):
    models, photos = shown(parameters)
    models = {name: model for name, model in models.items() if not (model.guided or model.mirrored or model.as_scan)}
    output = {name: _predicted(model, photos) for name, model in models.items()}
    asked = next((name for name in ("classification", "rebalanced") if name in output), None)
    if asked is None:
        return None  # there is no distribution to play with
    answers = output[asked]
    apart = (decoding.mode(answers, ab_bins()) - decoding.mean(answers, ab_bins())).norm(dim=1)
    kept, telling = _as_many_as_fit(output, int(apart.mean((1, 2)).argmax()))
    y, x = divmod(int(apart[kept[telling]].argmax()), apart.shape[2])
    first = [STRIDE * place + STRIDE // 2 for place in (x, y)]
    pictures = [figures.photographs([figures.lightness_only(photo)], height=3.4) for photo in photos[kept]]
    return {
        "bins": ab_bins().numpy(),
        "temperature": parameters.get("temperature", 0.38),
        "photos": photos[kept],
        "models": {name: _stored(models[name], found[kept]) for name, found in output.items()},
        "asked": asked,
        "telling": telling,
        "pictures": [_pointer(picture, first, "The photograph", step=2) for picture in pictures],
    }


def _predicted(model, photos):
    small = np.stack([model.small(photo) for photo in photos])
    return model.predict(to_example(small)[0])


def _stored(model, output):
    """What a browser keeps of a model's answers: ab of a regression, else logits in half precision."""
    if model.objective == "regression":
        return {"ab": model.decode(output).numpy()}
    return {"logits": as_half(output), "default": [model.decoding, model.temperature]}


def _as_many_as_fit(output, telling):
    """Indices of the photographs whose logits a page can bring along, and the place of the telling one among them."""
    each = sum(2 * found[0].numel() for found in output.values())
    count = max(1, min(len(next(iter(output.values()))), LARGEST // each))
    kept = list(range(count)) if telling < count else [*range(count - 1), telling]
    return kept, kept.index(telling)


def _raw_accuracy(parameters):
    models, photos = shown(parameters)
    lightness, true_ab = to_example(photos)
    temperature = parameters.get("temperature", 0.38)
    training = prepared_photographs("train", parameters.get("pipeline", False)).photos
    other = baselines.random(training, len(photos), parameters.get("seed", 0))[:, : photos.shape[1], : photos.shape[2]]
    predictions = {"gray": baselines.gray(true_ab), "random": to_example(other)[1]}
    for name, model in models.items():
        predictions[name] = model.decode(model.predict(lightness), None, temperature).permute(0, 2, 3, 1)
    return {"photos": photos, "distances": {name: distances(ab, true_ab).numpy() for name, ab in predictions.items()}}


_DATA = {
    "01_gamut_and_prior": _prior_and_weights,
    "02_soft_encoding": _soft_encoding,
    "05_decoding": _decoding,
    "06_raw_accuracy": _raw_accuracy,
}
