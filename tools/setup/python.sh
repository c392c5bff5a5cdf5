# The scripts source this file. It sets PYTHON to a Python that has what a file of requirements
# lists: the Python in use, or else the Python of .venv. If neither has it, `set_up FILE` makes .venv
# or adds to it, and `need_python` ends the script. UMURL_PYTHON tells the choice to other scripts.

has() {  # PYTHON FILE
    [ -x "$1" ] && WHY=$("$1" tools/setup/requirements.py "$2" 2>&1)
}

find_python() {  # FILE
    local candidate
    PYTHON=${UMURL_PYTHON:-}
    [ -z "$PYTHON" ] || return 0
    for candidate in "$(command -v python || command -v python3)" .venv/bin/python; do
        if has "$candidate" "$1"; then
            export UMURL_PYTHON=$candidate
            PYTHON=$candidate
            return 0
        fi
    done
    return 1
}

set_up() {  # FILE
    find_python "$1" && return
    if has .venv/bin/python requirements.txt; then
        echo "installing into .venv what $1 lists"
    else
        echo "setting up .venv (several GB, some minutes): ${WHY##*$'\n'}"
        "$(command -v python3 || command -v python)" -m venv --clear .venv
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1"
    find_python "$1" || { echo "error: .venv is not usable: ${WHY##*$'\n'}" >&2; exit 1; }
}

need_python() {
    find_python requirements.txt && return
    echo "error: no Python here has what requirements.txt lists (${WHY##*$'\n'});" \
        "run bash script_demo.sh once, or pip install -r requirements.txt" >&2
    exit 1
}

need_test_name() {
    case ${1:-} in
        */*)
            local name=${1%"${1##*[!/]}"}
            echo "error: $1 is a path; TEST_NAME is the folder's name in checkpoints:" \
                "$0 ${name##*/}" >&2
            exit 2
            ;;
        "" | -* | .*)
            echo "error: name the run first: $0 TEST_NAME [flags]" >&2
            exit 2
            ;;
    esac
}
