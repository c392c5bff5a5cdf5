"""The ablation table: what each part of the method is worth, over seeds and learning rates."""
