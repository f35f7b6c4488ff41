"""Systems of the field as agents on networks of their shape: each sees what every agent sees, and decides as it does.

What all of them have is in `agent`. `AGENTS` has their registered names, by the scenario that is each one's form.
"""

AGENTS = {  # scenario -> agent
    "variants-cores": "infadapter",
    "pipeline-cores": "ipa",
    "uploads-4g": "sponge",
    "partition-priority": "pa-mdi",
    "draft-and-verify": "sled",
    "quantised-split": "qpart",
}
