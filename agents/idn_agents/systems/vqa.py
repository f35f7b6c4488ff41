"""Facts of JellyBean's visual question answering: operators, variants, workers, links.

Source of all values: libertyeagle/JellyBean (MIT, copyright 2022 libertyeagle), VQA/examples/optimizer_inputs: times of
one request, prices and links of the workers, sizes of messages, accuracies of the variants and of their combinations.
"""

from __future__ import annotations

WORKERS = ("cpu-1", "cpu-2", "cpu-3", "cpu-4", "cpu-5", "cpu-6", "gpu-1", "gpu-2", "gpu-3")
PRICES = (0.096, 0.192, 0.384, 0.384, 0.768, 2.305, 2.497, 2.497, 2.497)  # per hour
TIERS = (0, 0, 0, 0, 0, 1, 1, 1, 1)

# ms of one request: operator -> variant -> per worker
LATENCY_MS: dict[str, dict[str, tuple[float, ...]]] = {
    "ExtractImageFeature": {
        "resnet18": (
            *(135.08435991666667, 100.29564166666667, 59.00632775, 55.69166666666666, 36.69487933333333),
            *(36.29415675, 16.1434125, 17.30008391666667, 15.027363333333332),
        ),
        "resnet34": (
            *(230.15500458333335, 169.12789583333335, 94.41725108333333, 89.583218, 53.72906933333333),
            *(50.51848533333334, 19.261931, 17.646546833333332, 17.110882916666664),
        ),
        "resnet50": (
            *(307.95038375, 246.47744533333335, 133.79275258333334, 147.04746266666666, 76.22845033333333),
            *(86.86987725, 18.115538833333332, 17.338979583333334, 17.062156833333333),
        ),
        "resnet101": (
            *(465.5516465, 423.47483866666664, 229.55306116666665, 214.63784266666664, 122.635791),
            *(125.16769191666667, 23.704129916666666, 23.383582083333334, 23.222158166666667),
        ),
        "resnet152": (
            *(648.8488443333333, 569.48824725, 320.2329615833333, 307.661677, 168.164837),
            *(173.25212933333336, 31.07346916666667, 30.659489416666666, 30.555976416666667),
        ),
    },
    "SpeechRecognition": {
        "wav2vec2-base-960h": (
            *(264.52877183333334, 186.05603308333335, 107.50537608333333, 107.827109, 57.932777333333334),
            *(70.58440133333333, 14.732736333333333, 14.732736333333333, 14.933865583333334),
        ),
        "wav2vec2-large-960h-lv60-self": (
            *(773.5373735833333, 527.4661421666667, 299.6520658333333, 283.15181, 166.46864333333332),
            *(162.993783, 26.894737666666668, 28.2756685, 27.535292666666667),
        ),
    },
    "VQA": {
        "default": (
            *(45.850947000000005, 29.27694933333333, 18.514892000000007, 17.212836333333332, 11.336513083333333),
            *(11.13725625, 4.585967833333333, 4.585967833333333, 4.585967833333333),
        ),
    },
}

EDGES = (
    ("ReadImage", "ExtractImageFeature"),
    ("ReadSpeech", "SpeechRecognition"),
    ("ExtractImageFeature", "VQA"),
    ("SpeechRecognition", "VQA"),
)

# KB of a message of a source, or of a variant of an operator
MESSAGE_KB = {
    "ReadImage": 794.0348300933838,
    "ReadSpeech": 97.07174682617188,
    "resnet18": 2.00390625,
    "resnet34": 2.00390625,
    "resnet50": 8.00390625,
    "resnet101": 8.00390625,
    "resnet152": 8.00390625,
    "wav2vec2-base-960h": 0.1,
    "wav2vec2-large-960h-lv60-self": 0.1,
    "default": 0.0,
}

# Price of a link between tiers, (from, to); sources are in the first tier, and links within a tier are free.
LINK_PRICES = {(0, 1): 1.0, (1, 0): 10.0}

# Percent of the answers: image variant -> speech variant
ACCURACY = {
    "resnet18": {"wav2vec2-base-960h": 54.02, "wav2vec2-large-960h-lv60-self": 56.59},
    "resnet34": {"wav2vec2-base-960h": 54.37, "wav2vec2-large-960h-lv60-self": 56.85},
    "resnet50": {"wav2vec2-base-960h": 55.42, "wav2vec2-large-960h-lv60-self": 57.94},
    "resnet101": {"wav2vec2-base-960h": 55.91, "wav2vec2-large-960h-lv60-self": 58.19},
    "resnet152": {"wav2vec2-base-960h": 55.76, "wav2vec2-large-960h-lv60-self": 58.33},
}

# Of an operator alone: percent for images, a score below 0 for speech
OPERATOR_ACCURACY = {
    "resnet18": 89.074,
    "resnet34": 91.42,
    "resnet50": 92.866,
    "resnet101": 93.548,
    "resnet152": 94.05,
    "wav2vec2-base-960h": -3.823,
    "wav2vec2-large-960h-lv60-self": -1.8621,
}

# Cost of a variant relative to others, by which the beam search ranks them
RELATIVE_COST = {
    "default": 3.718242340022698,
    "resnet18": 6.0817391967773435,
    "resnet34": 7.805843679904938,
    "resnet50": 10.446570706367492,
    "resnet101": 17.108720197677613,
    "resnet152": 23.935289945602417,
    "wav2vec2-base-960h": 13.286894897930324,
    "wav2vec2-large-960h-lv60-self": 24.441278224810958,
}
