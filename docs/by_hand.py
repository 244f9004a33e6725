"""The exercises by hand: where they stand in the notebooks, and which of their numbers a student finds out.

Each entry is a phrase of a cell as it stands there, with [brackets] around what is left blank on the sheet.  A phrase
that is no longer found, or an exercise by hand without an entry, stops the sheet with its name (`build_sheet`).
"""

BY_HAND = {
    "01_gamut_and_prior": {
        "Lab: lightness apart from colour": ["white has all light, so L = [100] and"],
        "Why 313?": ["from -10 to 20 only [(20,20)] is out of touch"],
        "What does a rare colour weigh?": [
            "the mixture is [.4167], [.3167], [.2667], its inverses [2.4], [3.158], [3.75],",
            "whose mean under p is [2.897]; so the weights are [.828], [1.090], [1.294]",
        ],
    },
    "02_soft_encoding": {
        "By hand": [
            "are 9+16 = [25], 9+36 = [45], 49+16 = [65], 49+36 = [85];",
            "with 169+16 = [185]. Each weighs exp(-d²/2σ²), and 2σ² = [50]",
        ],
    },
    "03_network": {
        "Play: the view of a layer": ["The second sees 3 + 2 = [5];", "5 + 2·2 = [9], then [13]"],
        "Initialisation": [
            "2, 4, 6 with mean [4] and (n - 1) standard deviation [2]; so it must be [halved], and shifted by [-2]"
        ],
    },
    "04_training": {
        "The objectives, by hand": [
            "logits (0, ln 3) mean Ẑ = [(¼, ¾)]",
            "½ ln 4 + ½ ln 4/3 = [.8370], and the gradient of the logits is Ẑ - Z = [(-¼, ¼)]",
        ],
    },
    "05_decoding": {
        "By hand": [
            "a = .7·30 + .3·10 = [24] and b = -.7·40 + .3·20 = [-22]:",
            ".7^2.632 : .3^2.632 = .3912 : .0421, that is [.903] and [.097], and b = [-34.2]:",
            "the likeliest colour, is [blue]",
        ],
    },
    "06_raw_accuracy": {
        "By hand": [
            "5, 20 and 200 give ([145] + [130] + [0]) / 450 = [.6111]",
            "Gray's part is (145 + 130) / [300] = [.9167], red's is 0, and the rebalanced AuC is their mean, [.4583]",
        ],
    },
    "07_semantic_interpretability": {
        "By hand": ["Top-1 is [1/3], top-2 is [2/3].", "standard error is √(.36 · .64 / 100) = [.048]:"],
    },
    "08_perceptual_realism": {
        "By hand": [
            "the mean is [.3].",
            "(.01 + 0 + .01) / 3 = [.00667],",
            "standard error is √.00222 = [.0471]",
            "an error of √.00333 = [.0577], and Student's t puts the 95 % interval at 4.30 errors, [.052] to [.548]",
        ],
    },
    "09_task_generalization": {
        "By hand": ["√(9600 / 256) = [6] by [6], that is [9,216]", "w (1 + e²ʷ) = 1 / λ = [10], at w = [1.064]"],
    },
    "10_dataset_generalization": {"By hand": ["(6 · 1 + 5 · ⅔) / 11 = [.848]"]},
    "11_legacy_photos": {
        "By hand: predict small, join with the full-resolution lightness": [
            "so pixel 0 takes the [first], pixel 4 the [second], pixel 1 is [three quarters] of the first and "
            "[one] of the second"
        ],
        "What scans bring along": ["lightness from 30 to 70 becomes [0] to [100], the middle [stays]"],
        "What else could it be?": [],  # told in words: nothing to reckon
    },
    "13_design_a_world": {
        "By hand": [
            "a = .75·10 + .25·30 = [15], b = -.75·40 + .25·40 = [-20]",
            "answers the shares, [.75] and [.25].",
            "so it keeps 1 / (1 + 4·e⁻²) = [.649] of it",
            "gets .75·.649 = [.487].",
            "made to sum to 1: [.5] and [.5]",
        ],
    },
    "exercises/01_bins_and_weights": {
        "Bins from a gamut": ["belong to [(10, 0)], [(-10, 30)] and [(10, 0)]: [two] bins, [(-10, 30) and (10, 0)]."],
        "Rebalancing weights": [
            "(1-λ)p + λ/2 = ([.675], [.325]), inverse ([1.481], [3.077]); their mean under p is [1.880], "
            "so w = ([.788], [1.636])"
        ],
    },
    "exercises/02_soft_encoding": {
        "Exercise 02 · Soft encoding": [
            "lies [1] from the bin (0, 0) and [9] from (0, 10). exp(-1/50) = [.980] and exp(-81/50) = [.198], "
            "so z = ([.832], [.168])"
        ],
    },
    "exercises/03_receptive_field": {
        "Exercise 03 · What a unit sees": [
            "A 3 x 3 layer of stride 2 sees [3] pixels, its units lie [2] apart; another 3 x 3 layer on top sees "
            "[3 + 2 · 2 = 7]"
        ],
    },
    "exercises/04_gradient": {
        "Exercise 04 · The gradient, on paper and in code": ["give ẑ = [(¼, ¾)];", "the gradient is [(-¾, ¾)]"],
    },
    "exercises/05_annealed_mean": {
        "Exercise 05 · The annealed mean": [
            "give squares [(1/16, 9/16)], that is [(.1, .9)]. With the bins (0, 0) and (40, 0): ab = [(36, 0)]"
        ],
    },
    "exercises/06_raw_accuracy": {
        "Exercise 06 · Area under the curve": ["give 1 - ([5] + [20] + [150]) / 450 = [.611]"],
    },
    "exercises/08_bootstrap": {
        "Exercise 08 · How sure are we of what people said?": [
            "the means are [.2], [.4], [.6], and their standard deviation (with n - 1) is [.2]"
        ],
    },
    "exercises/13_predict_world": {
        "Exercise 13 · What must it answer?": [
            "Regression answers [(15, -20)], classification ([.75], [.25]), rebalanced ([.5], [.5])"
        ],
    },
}
