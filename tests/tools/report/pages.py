"""What tests of the report share: the curve of its run, the data in a page."""

import json
import re
from pathlib import Path

LOSSES = [30.0, 22.5, 20.5]  # of the run, every ten steps


def embedded(folder: Path, name: str = "report.html") -> dict:
    """The data in a page."""
    text = (folder / name).read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(data)
