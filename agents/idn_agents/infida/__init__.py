"""INFIDA: mirror descent on fractional states, in its scalar, offline, batched and coordinated forms; bounds."""

from idn_agents.infida.infida import Infida, InfidaOffline

__all__ = ["Infida", "InfidaOffline"]
