"""What scans of old prints bring along, and how the network is spared it: faded contrast and a frame of paper.

Sepia needs no care of its own: only lightness is looked at.  Grain is met in training (`noise`).
"""

import numpy as np

FADED = 50.0  # L; a print that spans less is faded.  2 of 400 photographs of today do, most prints of 1900 span 70 and more
TONE = 8.0  # L; a frame's rows and columns are this even, and this near to its tone
WIDEST = 0.25  # of a side can be frame
SIZE = 400  # pixels, at least, of the long side that a frame is looked for in


def stretch(lightness):
    """Contrast as of a fresh print, for a faded one: lightness, any shape, with its darkest .5 % at 0 and its lightest
    .5 % at 100.

    A network that was trained on full contrast takes a faded print for fog.  Faded is what spans less than FADED from
    its darkest .05 % to its lightest: real fog mostly spans more, and so does an empty sky with something small
    in it.  Of even lightness, as a blank page, nothing is made.
    """
    darkest, low, high, lightest = np.percentile(lightness, (0.05, 0.5, 99.5, 99.95)).astype(lightness.dtype)
    if lightest - darkest >= FADED or high - low < 1:
        return lightness
    return ((lightness - low) * (100 / (high - low))).clip(0, 100)


def inside_frame(lightness):
    """Where the picture is, inside a frame of paper: lightness (H, W), 0..100 -> (top, bottom, left, right) for slices.

    A frame has one tone and lies along all four sides; a pale sky along one of them is none.  Without a frame
    the whole is the picture.
    """
    height, width = whole = lightness.shape
    step = max(1, max(whole) // SIZE)
    small = lightness[: height // step * step, : width // step * step]
    small = small.reshape(height // step, step, width // step, step).mean((1, 3))
    tone = np.median(np.concatenate((small[0], small[-1], small[:, 0], small[:, -1])))
    plain = lambda lines: (np.abs(lines.mean(1) - tone) < TONE) & (lines.std(1) < TONE)
    found = []
    for lines in (small, small.T):
        length, even = len(lines), plain(lines)
        first = int(np.argmin(even)) if not even.all() else length
        last = int(np.argmin(even[::-1])) if not even.all() else length
        if not 0 < first <= WIDEST * length or not 0 < last <= WIDEST * length:
            return 0, height, 0, width
        found.append((first, last))
    (top, bottom), (left, right) = (((a + 1) * step, (b + 1) * step) for a, b in found)  # one more: blurred edges
    if height - bottom <= top or width - right <= left:
        return 0, height, 0, width
    return top, height - bottom, left, width - right
