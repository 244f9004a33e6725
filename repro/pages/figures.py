"""Everything that a page draws and shows with, under one name."""

from repro.pages.colours import (
    ab_axes,
    answers_for_a_pixel,
    bin_colors,
    bin_map,
    brushed_bins,
    distribution,
    gamut,
    paired_shares,
)
from repro.pages.designed import beside, bin_bars, one_colour, paint_bars
from repro.pages.hints import hints_curves, hints_in_words, hints_leads, hints_rows
from repro.pages.learning import (
    expected_against_learned,
    feature_maps,
    layer_ratios,
    network_plan,
    plan_bars,
    receptive_field,
    training_curves,
)
from repro.pages.outcomes import (
    accuracy_by_temperature,
    error_curves,
    in_points,
    intervals,
    layer_quality,
    told_from_truth,
    winners_rows,
    won_back,
)
from repro.pages.photographs import halves, lightness_only, photographs
from repro.pages.repaint import Repainter
from repro.pages.show import COLORS, LINES, MARKERS, STYLE, new_figure, show, show_table, to_html, to_png
from repro.pages.widgets import Pointer, slider_demo

__all__ = [
    "COLORS",
    "LINES",
    "MARKERS",
    "Pointer",
    "Repainter",
    "STYLE",
    "ab_axes",
    "accuracy_by_temperature",
    "answers_for_a_pixel",
    "beside",
    "bin_bars",
    "bin_colors",
    "bin_map",
    "brushed_bins",
    "distribution",
    "error_curves",
    "expected_against_learned",
    "feature_maps",
    "gamut",
    "halves",
    "hints_curves",
    "hints_in_words",
    "hints_leads",
    "hints_rows",
    "in_points",
    "intervals",
    "layer_quality",
    "layer_ratios",
    "lightness_only",
    "network_plan",
    "new_figure",
    "one_colour",
    "paint_bars",
    "paired_shares",
    "photographs",
    "plan_bars",
    "receptive_field",
    "show",
    "show_table",
    "slider_demo",
    "to_html",
    "to_png",
    "told_from_truth",
    "training_curves",
    "winners_rows",
    "won_back",
]
