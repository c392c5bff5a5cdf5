#!/usr/bin/env bash
# Sets up if need be, then runs the tests: bash script_test.sh [flags for pytest]
set -euo pipefail
cd "$(dirname "$0")"
source tools/setup/python.sh
set_up
exec "$PYTHON" -m pytest "$@"
