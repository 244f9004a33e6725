"""What each choice at test time is worth: a model with one thing changed at a time, on photographs for validation.

The choices are made by these figures and stand in the weights' files; held-out photographs have no part in them.
"""

import copy

import numpy as np
import torch
from jaxtyping import UInt8

from repro.color import lab_to_rgb8, rgb8_to_lab
from repro.evaluation.held_out import differences, summary
from repro.objectives import gives_ab

SIDES = (96, 112, 128, 144, 160)  # of the small copy, pixels
TEMPERATURES = (0.38, 0.7, 1.0)
CHROMA = (0.8, 0.9, 1.1)  # all ab times this
SHARE = 0.4  # of another model's colours in a blend
FADED = 28.0, 0.45  # a faded print's lightness is a + b L
PRINTS = {True: "faded print, stretched", False: "faded print, not stretched"}
FIGURES = "auc", "auc_rebalanced", "psnr", "colorfulness"


def compare_choices(held_out, models, report=print, seed=0):
    """What one change of each model does on a `HeldOut` of photographs that it was not trained on.

    models: {name: Colorizer}.  Returns {name: {"as it is": {figure: {mean, error, low, high}}, "changes": {change:
    {figure: the same of "changed - as it is", both drawn together}}}}, of FIGURES.  The last
    change is of faded prints of the photographs, not stretched less stretched; their truth is the photograph's ab.
    """
    prints, found = faded(held_out.photos), {}
    for name, model in models.items():
        tried = changes(model, models)
        rows = held_out.rows(name, _colored(model, held_out.photos))
        for change, other in tried.items():
            rows += held_out.rows(change, _colored(other, held_out.photos))
        for stretched in (True, False):
            rows += held_out.rows(PRINTS[stretched], _colored(_with(model, as_scan=stretched), prints))
        pairs = [(change, name) for change in tried] + [(PRINTS[False], PRINTS[True])]
        leads = differences(rows, pairs, seed)[held_out.name]
        found[name] = {
            "as it is": _figures(summary(rows[: len(held_out.names)], seed)[held_out.name][name]),
            "changes": {pair.rsplit(" - ", 1)[0]: _figures(lead) for pair, lead in leads.items()},
        }
        report(f"{held_out.name}: {len(pairs)} changes of {name} measured on {len(held_out.names)} photographs")
    return found


def changes(model, models):
    """{what is changed: Colorizer} of everything that is tried of one model; models: the others to blend with."""
    sides = {f"side {side}": _with(model, short_side=side) for side in SIDES if side != model.short_side}
    turned = {
        f"{'not ' * getattr(model, option)}{option}": _with(model, **{option: not getattr(model, option)})
        for option in ("guided", "mirrored", "as_scan")
    }
    temperatures = {
        f"temperature {t:g}": _with(model, temperature=t)
        for t in TEMPERATURES
        if t != model.temperature and not gives_ab(model.objective)
    }
    toned = {f"chroma x {factor:g}": _painted(model, {model: factor}) for factor in CHROMA}
    blends = {
        f"{SHARE:.0%} of {name}": _painted(model, {model: 1 - SHARE, other: SHARE})
        for name, other in models.items()
        if other is not model
    }
    return sides | turned | temperatures | toned | blends


def _with(model, **options):
    """The model with other options."""
    changed = copy.copy(model)
    vars(changed).update(options)
    return changed


def _painted(model, shares):
    """The model whose ab is a weighted sum of models' answers to the same small copy: shares, {Colorizer: weight}."""
    return _with(model, predict_ab=lambda *shown: sum(share * one.predict_ab(*shown) for one, share in shares.items()))


def _colored(model, photos):
    return np.stack([model.colorize(photo) for photo in photos])


def faded(photos: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n h w 3"]:
    """Gray prints of photographs that have lost their black and their white."""
    least, contrast = FADED
    lightness = least + contrast * torch.from_numpy(rgb8_to_lab(np.ascontiguousarray(photos)))[..., :1]
    return lab_to_rgb8(torch.cat((lightness, torch.zeros_like(lightness), torch.zeros_like(lightness)), -1))


def _figures(found):
    return {name: found[name] for name in FIGURES if name in found}
