"""The official list of NTU RGB+D samples whose skeletons are missing or incomplete.

Source: https://github.com/shahroudy/NTURGB-D, NTU_RGBD120_samples_with_missing_skeletons.txt; the
list of NTU-60 holds the same names up to setup 17. missing_samples.txt is a shorter form, with one
line for each setup and camera: "S001C002 P005R002A008 P006R001A008" stands for two names.
"""

from pathlib import Path

FILE = Path(__file__).with_name("missing_samples.txt")


def official_missing(max_setup: int = 32) -> set[str]:
    """The names of the missing samples in setups 1 to max_setup: 302 up to 17, 535 up to 32."""
    lines = (line.split() for line in FILE.read_text(encoding="ascii").splitlines())
    return {
        begin + rest for begin, *rests in lines for rest in rests if int(begin[1:4]) <= max_setup
    }
