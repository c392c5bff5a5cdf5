#!/usr/bin/env bash
# The whole pipeline in minutes, without a GPU and without NTU: synthetic recordings as raw files,
# preprocessing, pre-training of a small model, recognition and retrieval beside a random encoder.
set -euo pipefail
cd "$(dirname "$0")"
source tools/python.sh
set_up
name=demo
raw=data/demo/nturgbd_raw/nturgb+d_skeletons

"$PYTHON" data_gen/synthetic.py --out_folder $raw
"$PYTHON" data_gen/ntu_gendata.py --dataset ntu60 --data_path $raw --out_folder data/demo
./script_pretrain.sh $name --data-root data/demo --pre-dataset ntu60 --protocol cross_subject \
    --hidden-size 128 --projector-width 512 --batch-size 64 --epochs 30 --schedule 25
for encoder in random final; do
    ./script_action_recognition.sh $name --pretrained $encoder
    ./script_action_retrieval.sh $name --pretrained $encoder
done
