"""What the platform's annotation files say: COCO json and label pictures, read and turned into label masks."""
