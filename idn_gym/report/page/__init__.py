"""One page to look at, from any record folder: ``idn-gym report`` and ``idn-gym run --report``.

`folders` tells what a folder is of; `parts` is what a page has of it; `streams`, `settings` and `network` are the data
of its views; `html` puts a page together from the templates beside it. Packages bring what reads record folders of
their own under the entry-point group `idn_gym.plugins.REPORTS`.
"""
