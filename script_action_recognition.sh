#!/usr/bin/env bash
# Action recognition: linear evaluation of the newest checkpoint of a run.
#     ./script_action_recognition.sh TEST_NAME [flags of action_classification.py]
# Data set, protocol and model size come from the checkpoint in checkpoints/TEST_NAME.
set -euo pipefail
cd "$(dirname "$0")"
source setup.sh
need_test_name_and_python "$@"

set -x
exec "$PYTHON" action_classification.py --checkpoint-path "checkpoints/$1" "${@:2}"
