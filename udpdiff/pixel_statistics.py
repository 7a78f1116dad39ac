"""Means and standard deviations of red, green and blue in [0, 1] that image networks expect: ImageNet's and CLIP's.

Source: huggingface/transformers, src/transformers/utils/constants.py (written out, as importing them takes a second).
"""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
