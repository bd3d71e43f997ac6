"""The exceptions that mmseg raises on bad input.

Each message is one sentence that names what was wrong and what was expected.
"""


class MMSegError(Exception):
    """Base of every error raised on purpose by mmseg."""


class ConfigError(MMSegError):
    """A config file or an override cannot be read, or asks for something that does not exist."""


class DataError(MMSegError):
    """A data set, an index file or a label mask is not as it should be."""


class ImageError(DataError):
    """An image file is missing, truncated or of a format that cannot be decoded."""


class CheckpointError(MMSegError):
    """A checkpoint is missing, damaged, holds something other than weights, or does not fit the model."""


class NonFiniteLossError(MMSegError):
    """The training loss became NaN or infinite."""


class LoaderWorkerError(MMSegError, MemoryError):
    """A process that loads samples was killed, mostly for want of memory or shared memory."""


class OutOfMemoryError(MMSegError, MemoryError):
    """The memory of the GPU or of the machine is used up; the sentence says what would need less."""
