"""The best static allocation in hindsight, its certificate, and its relatives."""

from idn_agents.optimum.certificate_file import read_certificate, verify
from idn_agents.optimum.optimum import Optimum
from idn_agents.optimum.search import solve

__all__ = ["Optimum", "read_certificate", "solve", "verify"]
