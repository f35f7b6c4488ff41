"""Systems of the field beside INFIDA: each decides as its paper says, and is measured as its paper measures.

What every one of them has is in `frame`; `SYSTEMS` is where they are found.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from idn_gym.common.text import allowed, shown
from idn_gym.errors import IdnError

if TYPE_CHECKING:
    from idn_agents.systems.frame import System

SYSTEMS = {  # name -> module and class; imported when they are asked for
    "infadapter": "infadapter:InfAdapter",
    "ipa": "ipa:Ipa",
    "sponge": "sponge:Sponge",
    "heet": "heet:Heet",
    "influence": "centrality:Centrality",
    "jellybean": "jellybean:JellyBean",
    "pamdi": "pamdi:PaMdi",
    "qpart": "qpart:Qpart",
    "sled": "sled:Sled",
}


def system_class(name: str) -> type[System[Any, Any, Any]]:
    """The class of the system of that name; an `IdnError` if there is none."""
    if name not in SYSTEMS:
        raise IdnError(f"system {shown(name)}; {allowed(name, list(SYSTEMS), most=20)}")
    module, _, kind = SYSTEMS[name].partition(":")
    found: type[System[Any, Any, Any]] = getattr(import_module(f"{__name__}.{module}"), kind)
    return found
