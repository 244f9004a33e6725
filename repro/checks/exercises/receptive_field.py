"""Exercise 03: which square of the input a unit sees."""

from repro.checks.exercises.exercise import Exercise

UP_TO_CONV5 = [(3, 1, 1), (3, 2, 1)] * 2 + [(3, 1, 1), (3, 1, 1), (3, 2, 1)] + [(3, 1, 1)] * 3 + [(3, 1, 2)] * 3


def receptive_field(layers):
    """layers: (kernel, stride, dilation) from the input up -> (field, stride), in input pixels.

    There is at least one layer.
    """
    return _grown(layers)


def _grown(layers, grow=lambda kernel, stride, dilation, jump: (kernel - 1) * dilation * jump):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field, jump = field + grow(kernel, stride, dilation, jump), jump * stride
    return field, jump


# ---- cases ----


def _layers(rng, count):
    """Layers of all kinds: kernels 1 to 7, even ones too, strides and dilations 1 to 3."""
    return [(int(rng.integers(1, 8)), int(rng.integers(1, 4)), int(rng.integers(1, 4))) for _ in range(count)]


def _large(rng):
    """Layers whose field is an odd number between 2049 and 4500, so that low precision shows."""
    while True:
        layers = _layers(rng, 7)
        field, _ = _grown(layers)
        if 2049 <= field <= 4500 and field % 2:
            return layers


def draw(rng):
    """Single layers of every kind, then lists; some end with a stride, some begin with one."""
    odd, even = int(rng.choice([5, 7, 9, 11])), int(rng.choice([2, 4, 6]))
    stride, dilation = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    return [
        ("one 3 x 3 layer", ([(3, 1, 1)],)),
        ("another kernel", ([(odd, 1, 1)],)),
        ("an even kernel", ([(even, 1, 1)],)),
        ("a kernel of 1", ([(1, stride, dilation)],)),
        ("one dilated layer", ([(3, 1, dilation)],)),
        ("one layer with a stride", ([(3, stride, 1)],)),
        ("the two layers by hand", ([(3, 2, 1), (3, 1, 1)],)),
        ("a stride at the end", ([(odd, 1, 1), (even, stride, 1)],)),
        ("two strides", ([(even, stride, 1), (odd, 3, 2)],)),
        *((f"{count} layers", (_layers(rng, count),)) for count in (2, 3, 4, 6)),
        ("the network up to conv5", (list(UP_TO_CONV5),)),
        ("a field of thousands", (_large(rng),)),
    ]


# ---- mistakes ----


def _by(rule):
    return lambda layers: _grown(layers, rule)


def _added(layers):
    jump, field = 1, 1
    for kernel, stride, dilation in layers:
        field, jump = field + (kernel - 1) * dilation * jump, jump + stride - 1
    return field, jump


def _dilated_stride(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field, jump = field + (kernel - 1) * dilation * jump, jump * stride * dilation
    return field, jump


def _without_last_stride(layers):
    *below, (kernel, _, dilation) = layers
    return _grown([*below, (kernel, 1, dilation)])


EXERCISE = Exercise(
    receptive_field,
    ("layers",),
    ("field", "stride"),
    draw,
    {
        "each layer adds kernel - 1 pixels, not the whole kernel": _by(lambda k, s, d, jump: k * d * jump),
        "each layer adds half its kernel; it reaches to both sides": _by(lambda k, s, d, jump: k // 2 * d * jump),
        "2 (kernel // 2) is kernel - 1 for odd kernels only": _by(lambda k, s, d, jump: k // 2 * 2 * d * jump),
        "the kernel is always 3 here; use each layer's own": _by(lambda k, s, d, jump: 2 * d * jump),
        "dilation is forgotten: the kernel's taps lie `dilation` apart": _by(lambda k, s, d, jump: (k - 1) * jump),
        "dilation widens the gaps between taps, of which a kernel has kernel - 1": _by(
            lambda k, s, d, jump: (k * d - 1) * jump
        ),
        "the strides before a layer are forgotten: its taps lie so many input pixels apart": _by(
            lambda k, s, d, jump: (k - 1) * d
        ),
        "a layer's own stride counts only for the layers after it": _by(lambda k, s, d, jump: (k - 1) * d * jump * s),
        "only the layer just below counts here; the strides of all layers below are multiplied": lambda layers: (
            1 + sum((k - 1) * d * s for (k, _, d), s in zip(layers, [1, *(s for _, s, _ in layers)], strict=False)),
            _grown(layers)[1],
        ),
        "the strides are added; they should be multiplied": _added,
        "the last layer's stride belongs to the product too": _without_last_stride,
        "dilation does not move the units apart; only strides do": _dilated_stride,
        "the two results are swapped: the field comes first, then the stride": lambda layers: _grown(layers)[::-1],
        "only the first layer counts: is `return` inside the loop?": lambda layers: _grown(layers[:1]),
        "the layers are gone through from the top; begin at the input": lambda layers: _grown(layers[::-1]),
        "one pixel is missing: without a layer the field is 1": lambda layers: (
            _grown(layers)[0] - 1,
            _grown(layers)[1],
        ),
    },
)
