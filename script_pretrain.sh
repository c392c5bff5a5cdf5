#!/usr/bin/env bash
# Pre-train without labels, on all GPUs of CUDA_VISIBLE_DEVICES, or on the CPU if there is none.
#     ./script_pretrain.sh TEST_NAME [flags of pretrain.py]
# Checkpoints and TensorBoard events go into checkpoints/TEST_NAME. The same command continues a run.
set -euo pipefail
cd "$(dirname "$0")"
source setup.sh
need_test_name_and_python "$@"

# The published settings of each protocol; flags after TEST_NAME win.
dataset=ntu120 protocol=cross_subject batch_size=1024
case $1 in
    ntu60_xsub*)    dataset=ntu60;  protocol=cross_subject; batch_size=512 ;;
    ntu60_xview*)   dataset=ntu60;  protocol=cross_view ;;
    ntu120_xsetup*) protocol=cross_setup ;;
    ntu120_xsub*)   ;;
    *) [[ " $*" == *" --pre-dataset"* ]] || echo "$1 names no protocol (ntu60_xsub, ntu60_xview," \
        "ntu120_xsub, ntu120_xsetup): training on NTU-120 x-sub, unless flags say otherwise" ;;
esac
schedule=(--schedule 351)
[[ " $* " == *" --cosine "* ]] && schedule=()

gpus=$("$PYTHON" -c "import torch; print(torch.cuda.device_count())")
launcher=()
if [ "$gpus" -gt 1 ]; then
    launcher=(-m torch.distributed.run --standalone --nproc_per_node "$gpus")
fi

set -x
exec "$PYTHON" ${launcher[@]+"${launcher[@]}"} pretrain.py \
    --pre-dataset "$dataset" --protocol "$protocol" --batch-size "$batch_size" \
    --hidden-size 1024 --num-head 1 --num-layer 1 --projector-width 4096 \
    --lr 5e-4 --wd 1e-5 --epochs 451 ${schedule[@]+"${schedule[@]}"} \
    --checkpoint-path "checkpoints/$1" "${@:2}"
