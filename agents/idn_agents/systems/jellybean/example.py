"""The authors' example, visual question answering, as a workflow."""

from __future__ import annotations

from functools import cache

from idn_agents.systems import vqa
from idn_agents.systems.jellybean.workflow import Accuracy, Operator, Source, Variant, Worker, Workflow

RATE, ACCURACY = 40.0, 56.0  # requests/s and percent. Source: input_injection_rates.csv, accuracy_requirement.json
_SOURCE_TIER = 0  # as the authors' code has it


@cache
def question_answering() -> Workflow:
    """Features of an image and words of a question, joined by the answer, on nine workers of two tiers."""
    tiers = dict(zip(vqa.WORKERS, vqa.TIERS, strict=True))
    sources = [name for name, _ in vqa.EDGES if name not in vqa.LATENCY_MS]

    def variant(name: str, times: tuple[float, ...]) -> Variant:
        return Variant(
            name=name,
            latency_ms=dict(zip(vqa.WORKERS, times, strict=True)),
            message_kb=vqa.MESSAGE_KB[name],
            relative_cost=vqa.RELATIVE_COST[name],
        )

    def price(tail: int, head: int) -> float:
        return vqa.LINK_PRICES.get((tail, head), 0.0)

    entries = {name: price(_SOURCE_TIER, tier) for name, tier in tiers.items()}
    return Workflow(
        workers=[
            Worker(name=name, price=cost, tier=tiers[name]) for name, cost in zip(vqa.WORKERS, vqa.PRICES, strict=True)
        ],
        sources=[Source(name=name, message_kb=vqa.MESSAGE_KB[name], links=entries) for name in sources],
        operators=[
            Operator(
                name=operator,
                inputs=[tail for tail, head in vqa.EDGES if head == operator],
                variants=[variant(name, times) for name, times in variants.items()],
            )
            for operator, variants in vqa.LATENCY_MS.items()
        ],
        links=[(u, v, price(tiers[u], tiers[v])) for u in tiers for v in tiers if price(tiers[u], tiers[v])],
        accuracies=[
            Accuracy(variants={"ExtractImageFeature": image, "SpeechRecognition": speech}, percent=percent)
            for image, row in vqa.ACCURACY.items()
            for speech, percent in row.items()
        ],
    )
