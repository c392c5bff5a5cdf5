"""A plain, literal, slow version of the method: the reading that parity is checked against.

It imports nothing of the project. Every step is the first thing one would write after reading what
the method is: one clip, one body, one frame, one joint at a time; arrays padded to 300 frames; the
full covariance matrix; the frozen encoder run again in every epoch. Its tests hold it to the
published figures; the fast code is held to both, and `python -m tools.benchmark` times the one
beside the other.

preprocess  raw recordings -> padded arrays of one protocol
input       padded arrays -> augmented views, one sample at a time
model       views -> tokens -> encoder -> projectors -> loss, and one step of training
evaluation  linear evaluation and nearest neighbours

Arrays have the published layout (C, T, V, M): xyz, frames, 25 joints, 2 bodies.
"""
