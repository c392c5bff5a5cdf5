# Sourced by script_*.sh. Sets PYTHON to the Python in use if it has what requirements.txt lists,
# else to .venv/bin/python. `set_up FILE` makes .venv, or adds to it, if neither has what FILE lists.

has() {  # PYTHON FILE
    "$1" - "$2" 2>/dev/null <<'PY'
import sys
import torch  # an import shows whether the installation works
from importlib.metadata import version
from packaging.requirements import Requirement

def listed(file):
    for line in open(file):
        if line.startswith("-r "):
            yield from listed(line[3:].strip())
        elif line.strip():
            yield Requirement(line.strip())

met = (r.specifier.contains(version(r.name), prereleases=True) for r in listed(sys.argv[1]))
sys.exit(not (sys.version_info >= (3, 10) and all(met)))
PY
}

find_python() {  # FILE
    local candidate
    for candidate in "${UMURL_PYTHON:-}" "$(command -v python || command -v python3)" .venv/bin/python; do
        [ -x "$candidate" ] || continue
        if [ "$candidate" = "${UMURL_PYTHON:-}" ] || has "$candidate" "$1"; then
            PYTHON=$candidate
            export UMURL_PYTHON=$candidate  # scripts that this one calls need not look again
            return 0
        fi
    done
    return 1
}

set_up() {  # FILE
    find_python "$1" && return
    echo "installing what $1 lists into .venv (several GB, some minutes)"
    [ -x .venv/bin/python ] || "$(command -v python3 || command -v python)" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1"
    find_python "$1" || { echo "error: .venv lacks something that $1 lists; remove it and try again" >&2; exit 1; }
}

need_python() {
    find_python requirements.txt && return
    echo "error: this Python lacks something that requirements.txt lists; run bash script_demo.sh" \
        "once, or pip install -r requirements.txt" >&2
    exit 1
}

need_test_name_and_python() {
    case ${1:-} in
        "" | -* | .* | */*)
            echo "error: name the run first: $0 TEST_NAME [flags]; it is a folder in checkpoints/" >&2
            exit 2
            ;;
    esac
    need_python
}
