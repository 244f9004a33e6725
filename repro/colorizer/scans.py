"""What scans of old prints bring along, and how the network is spared it: faded contrast and a frame of paper.

Sepia needs no care of its own: only lightness is looked at.  Grain is met in training (`noise`).
"""

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import maximum_filter1d

from repro.color import rgb8_to_lightness
from repro.colorizer.enlarge import reduced

FADED = 45.0  # L; a print that spans no more is faded.  2 of 400 photographs of today span less than 50
FRESH = 59.0  # L; a print that spans as much is not faded at all; most prints of 1900 span 70 and more
BLANK, PRINTED = 1.0, 8.0  # L; what spans no more than the one is a blank page, what spans the other is a picture
TONE = 8.0  # L; what is farther than this from the median of the outermost line is no paper ...
LEAST_TONE = 3.0  # ... and less far, down to this, if the paper's grain is fine
WIDEST = 0.25  # of a side can be frame
SIZE = 400  # pixels, at least, of a side that a frame is looked for in, if it has as many
SMALLEST = 16  # pixels; a frame is looked for in nothing smaller
STRAIGHT = 0.82  # of a frame's inner edge, at least, is to be seen on straight lines ...
WEAKEST = 0.55  # ... and of each side this, as white sky does not differ from white paper
TILT = 0.05  # a frame's inner edge leaves its side's direction by at most this slope, 3 degrees
STAINED = 0.1  # of the outermost line, at most, differs from paper
WRITTEN = 0.2  # of a margin, at most, is writing


def stretch(lightness: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Contrast as of a fresh print, for a faded one: lightness, 0..100.

    Its darkest .5 % come to 0 and its lightest .5 % to 100.

    A network that was trained on full contrast takes a faded print for fog. Faded is what spans at most FADED from its
    darkest .05 % to its lightest: real fog mostly spans more, and so does an empty sky with something small in it. What
    spans FRESH is left as it is; between the two, and toward even lightness as of a blank page, the stretching grows
    less and less, so that a film's colours never jump.
    """
    darkest, low, high, lightest = np.percentile(lightness, (0.05, 0.5, 99.5, 99.95)).astype(lightness.dtype)
    faded = np.clip((FRESH - (lightest - darkest)) / (FRESH - FADED), 0, 1)
    share = faded * np.clip((high - low - BLANK) / (PRINTED - BLANK), 0, 1)
    if not share:
        return lightness
    return lightness + share * (((lightness - low) * (100 / (high - low))).clip(0, 100) - lightness)


def picture_in(photo: UInt8[np.ndarray, "h w 3"]) -> tuple[int, int, int, int]:
    """`inside_frame` of a photograph of any size: only a small copy of it is searched."""
    height, width = photo.shape[:2]
    step = max(1, max(height, width) // SIZE)
    small = rgb8_to_lightness(reduced(photo, step, step))
    top, bottom, left, right = (step * place for place in inside_frame(small))
    return top, min(bottom, height), left, min(right, width)


def inside_frame(lightness: Float[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    """Where the picture is, inside a frame of paper: (top, bottom, left, right) for slices.

    lightness: 0..100.

    A frame lies along all four sides, has one tone, and ends in four straight lines, at most a little tilted: the even
    ground around a thing ends in its outline. Writing on it is allowed. Without a frame the whole is the picture.
    """
    height, width = whole = lightness.shape
    steps = [max(1, side // SIZE) for side in whole]
    small = _block_means(lightness, *steps)
    rows, columns = small.shape
    margins, straight = [0] * 4, [0.0] * 4  # top, bottom, left, right; each is looked at between its neighbours
    if min(rows, columns) < SMALLEST or np.ptp(_tones(small)) > 2 * TONE:
        return 0, height, 0, width
    for _ in range(2):
        for side in range(4):
            between = margins[2:] if side < 2 else margins[:2]
            margins[side], straight[side] = _margin(_seen_from(small, side), *between)
            if not margins[side]:
                return 0, height, 0, width
    if min(straight) < WEAKEST or np.mean(straight) < STRAIGHT:
        return 0, height, 0, width
    top, bottom, left, right = (int(margin) * steps[side // 2] for side, margin in enumerate(margins))
    return top, height - bottom, left, width - right


def _block_means(lightness, high, wide):
    rows, columns = lightness.shape[0] // high, lightness.shape[1] // wide
    return lightness[: rows * high, : columns * wide].reshape(rows, high, columns, wide).mean((1, 3))


def _seen_from(small, side):
    """Turned so that line 0 is the outermost of a side: 0 top, 1 bottom, 2 left, 3 right."""
    lines = small if side < 2 else small.T
    return lines[::-1] if side % 2 else lines


def _tones(small):
    return [np.median(_seen_from(small, side)[0]) for side in range(4)]


def _paper_tone(outermost):
    """L; what is nearer than this to the tone of the outermost line is paper: three deviations of its grain."""
    grain = 1.48 * np.median(np.abs(outermost - np.median(outermost)))
    return np.clip(3 * grain, LEAST_TONE, TONE)


def _margin(lines, before, after):
    """(How many lines of frame there are from the outside, or 0; how much of its edge is straight, 0..1).

    lines: (length, across), of which the first `before` and last `after` across belong to other sides.

    Every place where paper outside meets picture inside is a vote for the straight lines through it (Hough).
    """
    length, across = lines.shape[0], lines.shape[1] - before - after
    deepest = int(WIDEST * length)
    picture = np.abs(lines[: deepest + 2, before : before + across] - np.median(lines[0])) > _paper_tone(lines[0])
    if picture[0].mean() > STAINED:
        return 0, 0.0
    votes = picture[1:] & ~picture[:-1]
    votes = maximum_filter1d(votes.view(np.uint8), 1 + 2 * max(1, length // 130), axis=0)
    found, straight = 0, 0.0
    for slope in np.linspace(-TILT, TILT, 21):
        shift = (slope * (np.arange(across) - across / 2)).round().astype(int)
        place = (np.arange(len(votes))[:, None] + shift).clip(0, len(votes) - 1)
        share = np.take_along_axis(votes, place, 0).mean(1)
        line = int(share.argmax())
        if share[line] > straight:
            plateau = np.flatnonzero(share[line:] < share[line])
            found, straight = line + (plateau[0] - 1 if len(plateau) else 0) // 2 + 1, share[line]
    return (found + 1 if found and picture[:found].mean() < WRITTEN else 0), straight  # one more: blurred edges
