#!/usr/bin/env bash
# The whole pipeline in minutes, without a GPU and without NTU. It makes synthetic recordings as raw
# files, prepares them, pre-trains a small model, and evaluates recognition and retrieval, with the
# pre-trained and with a random encoder.
set -euo pipefail
cd "$(dirname "$0")"
source setup.sh
set_up requirements.txt
name=demo
raw=data/demo/nturgb+d_skeletons

"$PYTHON" data_gen/synthetic.py --out_folder $raw
"$PYTHON" data_gen/ntu_gendata.py --dataset ntu60 --data_path $raw --out_folder data/demo
./script_pretrain.sh $name --data-root data/demo --pre-dataset ntu60 --protocol cross_subject \
    --hidden-size 128 --projector-width 512 --batch-size 64 --lr 2e-3 --epochs 40 --schedule 34
for encoder in random final; do
    ./script_action_recognition.sh $name --pretrained $encoder
    ./script_action_retrieval.sh $name --pretrained $encoder
done

"$PYTHON" - checkpoints/$name <<'PY'
import json, pathlib, sys

folder = pathlib.Path(sys.argv[1])
print(f"\n{'synthetic recordings, x-sub':28}{'random encoder':>16}{'pre-trained':>16}")
for task, figure, words in ("recognition", "top1", "top-1"), ("retrieval", "accuracy", "1-NN"):
    files = [folder / f"{task}{kind}.json" for kind in ("_random", "")]
    random, trained = (json.loads(file.read_text())[figure] for file in files)
    print(f"{f'{task}, {words}':28}{random:>14.1f} %{trained:>14.1f} %")
PY

cat <<NEXT

Next, with $PYTHON:
    -m tools.report $name                                the run as an HTML page
    -m tools.tsne --checkpoint checkpoints/$name         features of ten classes as a picture
    -m tools.visualize $(ls $raw/*A023.skeleton | head -1)
    -m tensorboard.main --logdir checkpoints/$name       the curves of the training
NEXT
