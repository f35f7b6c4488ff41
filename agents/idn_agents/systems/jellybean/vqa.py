"""JellyBean's visual question answering: workers, profile and accuracies, as facts.

Source: libertyeagle/JellyBean, commit 65a1d67, VQA/examples/optimizer_inputs (MIT).
"""

from __future__ import annotations

from functools import cache

from idn_agents.systems.jellybean.workflow import Accuracy, Operator, Source, Variant, Worker, Workflow

RATE, ACCURACY = 40.0, 56.0  # requests/s and percent of the authors' example

_WORKERS = (  # name, price per hour, tier
    ("cpu-1", 0.096, 0),
    ("cpu-2", 0.192, 0),
    ("cpu-3", 0.384, 0),
    ("cpu-4", 0.384, 0),
    ("cpu-5", 0.768, 0),
    ("cpu-6", 2.305, 1),
    ("gpu-1", 2.497, 1),
    ("gpu-2", 2.497, 1),
    ("gpu-3", 2.497, 1),
)
# ms per request at each worker, KB sent on, relative cost
_VARIANTS = {
    "ExtractImageFeature": {
        "resnet18": (
            (
                135.08435992,
                100.29564167,
                59.00632775,
                55.69166667,
                36.69487933,
                36.29415675,
                16.1434125,
                17.30008392,
                15.02736333,
            ),
            2.00390625,
            6.0817392,
        ),
        "resnet34": (
            (
                230.15500458,
                169.12789583,
                94.41725108,
                89.583218,
                53.72906933,
                50.51848533,
                19.261931,
                17.64654683,
                17.11088292,
            ),
            2.00390625,
            7.80584368,
        ),
        "resnet50": (
            (
                307.95038375,
                246.47744533,
                133.79275258,
                147.04746267,
                76.22845033,
                86.86987725,
                18.11553883,
                17.33897958,
                17.06215683,
            ),
            8.00390625,
            10.4465707,
        ),
        "resnet101": (
            (
                465.5516465,
                423.47483867,
                229.55306117,
                214.63784267,
                122.635791,
                125.16769192,
                23.70412992,
                23.38358208,
                23.22215817,
            ),
            8.00390625,
            17.1087202,
        ),
        "resnet152": (
            (
                648.84884433,
                569.48824725,
                320.23296158,
                307.661677,
                168.164837,
                173.25212933,
                31.07346917,
                30.65948942,
                30.55597642,
            ),
            8.00390625,
            23.9352899,
        ),
    },
    "SpeechRecognition": {
        "wav2vec2-base-960h": (
            (
                264.52877183,
                186.05603308,
                107.50537608,
                107.827109,
                57.93277733,
                70.58440133,
                14.73273633,
                14.73273633,
                14.93386558,
            ),
            0.1,
            13.2868949,
        ),
        "wav2vec2-large-960h-lv60-self": (
            (
                773.53737358,
                527.46614217,
                299.65206583,
                283.15181,
                166.46864333,
                162.993783,
                26.89473767,
                28.2756685,
                27.53529267,
            ),
            0.1,
            24.4412782,
        ),
    },
    "VQA": {
        "default": (
            (
                45.850947,
                29.27694933,
                18.514892,
                17.21283633,
                11.33651308,
                11.13725625,
                4.58596783,
                4.58596783,
                4.58596783,
            ),
            0.0,
            3.71824234,
        ),
    },
}
_ACCURACIES = {  # percent, of image features with speech recognition
    "resnet18": {"wav2vec2-base-960h": 54.02, "wav2vec2-large-960h-lv60-self": 56.59},
    "resnet34": {"wav2vec2-base-960h": 54.37, "wav2vec2-large-960h-lv60-self": 56.85},
    "resnet50": {"wav2vec2-base-960h": 55.42, "wav2vec2-large-960h-lv60-self": 57.94},
    "resnet101": {"wav2vec2-base-960h": 55.91, "wav2vec2-large-960h-lv60-self": 58.19},
    "resnet152": {"wav2vec2-base-960h": 55.76, "wav2vec2-large-960h-lv60-self": 58.33},
}
_INPUTS = {"ExtractImageFeature": ["ReadImage"], "SpeechRecognition": ["ReadSpeech"]}
_SOURCES = {"ReadImage": 794.0348300933838, "ReadSpeech": 97.07174682617188}  # KB of a request
_UP = 1.0  # price per GB from a source or the lower tier to the upper one; nothing is sent down


@cache
def vqa() -> Workflow:
    """The workflow: features of the image and words of the question, joined by the answer."""
    names = [name for name, _, _ in _WORKERS]
    low, high = ([name for name, _, tier in _WORKERS if tier == which] for which in (0, 1))
    return Workflow(
        workers=[Worker(name=name, price=price, tier=tier) for name, price, tier in _WORKERS],
        sources=[Source(name=name, message_kb=size, links=dict.fromkeys(high, _UP)) for name, size in _SOURCES.items()],
        operators=[
            Operator(
                name=operator,
                inputs=_INPUTS.get(operator, list(_INPUTS)),
                variants=[
                    Variant(
                        name=name,
                        latency_ms=dict(zip(names, times, strict=True)),
                        message_kb=size,
                        relative_cost=relative,
                    )
                    for name, (times, size, relative) in variants.items()
                ],
            )
            for operator, variants in _VARIANTS.items()
        ],
        links=[(tail, head, _UP) for tail in low for head in high],
        accuracies=[
            Accuracy(variants={"ExtractImageFeature": image, "SpeechRecognition": speech}, percent=percent)
            for image, row in _ACCURACIES.items()
            for speech, percent in row.items()
        ],
    )
