#!/usr/bin/env bash
# Run the tests; install what they need first, if it is missing.
#     bash script_test.sh [flags of pytest]
set -euo pipefail
cd "$(dirname "$0")"
source setup.sh
set_up requirements-dev.txt
exec "$PYTHON" -m pytest "$@"
