"""A plain and slow version of the method, which the fast code is compared with.

The version itself imports nothing of the project. Every step follows the description of the method
word for word: one clip, one body, one frame, one joint at a time; arrays padded to 300 frames; the
full covariance matrix; the frozen encoder run again in every epoch. The tests of this package
compare it with the published figures, the tests of the fast code compare with both.

preprocess  raw recordings -> padded arrays of one protocol
input       padded arrays -> augmented views, one sample at a time
model       views -> tokens -> encoder -> projectors -> loss, and one step of training
evaluation  linear evaluation and nearest neighbors
speed       how many times as fast the fast code is: it imports both versions

Arrays have the published layout (C, T, V, M): xyz, frames, 25 joints, 2 bodies.
"""
