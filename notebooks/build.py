"""Execute the notebooks' sources and write them with their outputs: ``python notebooks/build.py [NAME ...]``.

The sources are the ``NN_title.py`` files (jupytext, percent format); ``IDN_GYM_BUDGET=smoke`` makes them short.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def main(names: list[str]) -> None:
    """Write an ``.ipynb`` beside each source, executed."""
    for source in sorted(HERE.glob("[0-9][0-9]_*.py")):
        if names and source.stem not in names:
            continue
        notebook = jupytext.read(source)
        NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": HERE}}).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times of day: they differ from run to run
        nbformat.write(notebook, source.with_suffix(".ipynb"))
        print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])
