#!/usr/bin/env bash
# Pre-train without labels.
#     ./script_pretrain.sh TEST_NAME [flags of pretrain.py]
# Checkpoints and TensorBoard events go into checkpoints/TEST_NAME. The script uses every GPU that
# CUDA_VISIBLE_DEVICES shows, or the CPU if there is none.
set -euo pipefail
cd "$(dirname "$0")"
source tools/setup/python.sh
need_test_name "$@"
need_python
name=$1
shift

case $name in
    ntu60_xsub)    data=(--pre-dataset ntu60 --protocol cross_subject --batch-size 512) ;;
    ntu60_xview)   data=(--pre-dataset ntu60 --protocol cross_view --batch-size 1024) ;;
    ntu120_xsetup) data=(--pre-dataset ntu120 --protocol cross_setup --batch-size 1024) ;;
    ntu120_xsub | *) data=(--pre-dataset ntu120 --protocol cross_subject --batch-size 1024) ;;
esac
if [[ " $*" != *" --pre-dataset"* ]]; then
    "$PYTHON" tools/setup/check_test_name.py "$name" ntu60_xsub ntu60_xview ntu120_xsetup ntu120_xsub
fi

gpus=$("$PYTHON" -c "import torch; print(torch.cuda.device_count())")
launcher=()
if [ "$gpus" -gt 1 ]; then
    launcher=(-m tools.launch --standalone --nproc_per_node "$gpus")
fi

set -x
exec "$PYTHON" ${launcher[@]+"${launcher[@]}"} pretrain.py "${data[@]}" \
    --checkpoint-path "checkpoints/$name" "$@"
