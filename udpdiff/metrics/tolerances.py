"""How far figures may differ when only batch size, number of shards or device change.

Absolute of the figures of single videos, which lie in [0, 1] or near it, and relative to their length of features. Networks
compute in float32 throughout (a GPU's shorter floats in convolutions are switched off), preparing frames is the same code
everywhere, and optical flow stays on the processor.
"""

SAME_DEVICE = 1e-5  # sums in another order
OTHER_DEVICE = 1e-3  # other kernels; 0.1 of a figure that is printed x 100
