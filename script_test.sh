#!/usr/bin/env bash
# Sets up if need be, then runs the tests: bash script_test.sh [flags for pytest]
set -euo pipefail
cd "$(dirname "$0")"
source tools/setup/python.sh
set_up requirements-dev.txt
exec "$PYTHON" -m pytest "$@"
