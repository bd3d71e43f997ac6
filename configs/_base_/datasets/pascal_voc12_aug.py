# Pascal VOC 2012 with the additional annotations of the Semantic Boundaries Dataset: 10582 training images.
_base_ = './pascal_voc12.py'
data = dict(
    train=dict(
        ann_dir=['SegmentationClass', 'SegmentationClassAug'],
        split=['ImageSets/Segmentation/train.txt', 'ImageSets/Segmentation/aug.txt']))
