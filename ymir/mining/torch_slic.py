"""SLIC and SLICO for a batch of images, as PyTorch operators on the images' device."""

import math
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

import torch
from torch.nn import functional as F

from mmseg.errors import ConfigError
from ymir.mining.connectivity import merge_small_components

TORCH_ALGORITHMS = ("slic", "slico")

_ITERATIONS = 10
_RULER = 10.0
# A component smaller than this part of a cell is merged into a neighbour. OpenCV's is a quarter; by a third there are
# about as many superpixels as cells, since small components that are alike grow together.
_LEAST_SIZE = 1 / 3
_FIRST_COLOR_SCALE = 100.0
_NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
_NO_NEIGHBOUR = len(_NEIGHBOURS)
_FAR = 1e30
# What stays in a cache, and what fills a GPU.
_PIXELS_AT_ONCE = {"cpu": 2**14}
_PIXELS_AT_ONCE_ELSEWHERE = 2**21
_IMAGE_PIXELS_AT_ONCE = 8


def torch_superpixels(
    images: torch.Tensor, algorithm: str, max_count: int, *, pixels_at_once: Optional[int] = None
) -> torch.Tensor:
    """Divide each image of a batch into at most `max_count` connected superpixels, by SLIC or SLICO with 10 iterations.

    Achanta, Shaji, Smith, Lucchi, Fua, Süsstrunk: SLIC Superpixels Compared to State-of-the-Art Superpixel Methods,
    TPAMI 2012, with the parameters that OpenCV's ximgproc has: the colours as they are, region_size
    2 round(sqrt(H W / max_count)), ruler 10 for slic; slico divides the colour distance by the largest one that the
    superpixel had instead. Each pixel chooses among the superpixels that began in its own cell of the grid and in the
    eight around (Ren, Prisacariu, Reid: gSLICr, SLIC superpixels at over 250Hz, 2015). Then components smaller than a
    third of a cell are merged into the neighbours that look the most like them.

    Sums are of integers in float64, which are exact in any order, so the same images give the same superpixels again.

    Args:
        images: (B, H, W, 3) uint8, on any device.
        algorithm: slic or slico.
        max_count: most superpixels in an image, at least 1.
        pixels_at_once: of how many pixels the distances to nine centres are held at a time, some 250 bytes each;
            images of 8 times as many pixels are worked on together. Default: what suits the device.

    Returns:
        (B, H, W) int32 labels on the images' device, each of an image's 0 … n - 1 in use, numbered in the order of
        their first pixels.

    Raises:
        ConfigError: the algorithm is another one.
        ValueError: the images are not of that shape and type, or `max_count` is not positive.
    """
    if algorithm not in TORCH_ALGORITHMS:
        raise ConfigError(f"torch computes the superpixels {' and '.join(TORCH_ALGORITHMS)} only, not {algorithm!r}")
    if images.dim() != 4 or images.shape[3] != 3 or images.dtype != torch.uint8 or 0 in images.shape:
        raise ValueError(f"superpixels need (B, H, W, 3) uint8 images, not {tuple(images.shape)} of {images.dtype}")
    if max_count < 1:
        raise ValueError(f"the number of superpixels must be at least 1, not {max_count}")
    height, width = images.shape[1:3]
    if pixels_at_once is None:
        pixels_at_once = _PIXELS_AT_ONCE.get(images.device.type, _PIXELS_AT_ONCE_ELSEWHERE)
    images_at_once = max(1, _IMAGE_PIXELS_AT_ONCE * pixels_at_once // (height * width))
    with torch.no_grad():
        parts = [_divide(part, algorithm, max_count, pixels_at_once) for part in images.split(images_at_once)]
        return torch.cat(parts)


def _divide(images: torch.Tensor, algorithm: str, max_count: int, pixels_at_once: int) -> torch.Tensor:
    batch, height, width = images.shape[:3]
    region_size = max(2, 2 * round(math.sqrt(height * width / max_count)))
    grid = _Grid.of(batch, height, width, region_size)
    parts = _parts(grid, pixels_at_once)
    nearest = _cluster(grid, grid.blocks(images), region_size, adapt=algorithm == "slico", parts=parts)
    cell_size = height * width / (grid.rows * grid.columns)
    # Not smaller than the second, so that there are not more than max_count that are large enough.
    least_size = math.ceil(max(_LEAST_SIZE * cell_size, height * width / max_count))
    return merge_small_components(grid.labels(nearest), images, least_size)


@dataclass(frozen=True)
class _Grid:
    """Images of `batch` x `height` x `width` pixels in `rows` x `columns` cells of `cell_height` x `cell_width`.

    The last row and column of cells may reach over the image's edge. Blocks are arrays in the order of the cells:
    (cells of all images, …, pixels of a cell).
    """

    batch: int
    height: int
    width: int
    rows: int
    columns: int
    cell_height: int
    cell_width: int

    @classmethod
    def of(cls, batch: int, height: int, width: int, region_size: int) -> "_Grid":
        cell_height = math.ceil(height / max(1, round(height / region_size)))
        cell_width = math.ceil(width / max(1, round(width / region_size)))
        rows, columns = math.ceil(height / cell_height), math.ceil(width / cell_width)
        return cls(batch, height, width, rows, columns, cell_height, cell_width)

    @property
    def shape(self) -> Tuple[int, int, int]:
        return self.batch, self.rows, self.columns

    @property
    def cells(self) -> int:
        return self.batch * self.rows * self.columns

    def blocks(self, planes: torch.Tensor) -> torch.Tensor:
        """(B, H, W, D) as (cells, D, pixels), with zeros where a cell reaches over the edge."""
        down, right = self.rows * self.cell_height - self.height, self.columns * self.cell_width - self.width
        padded = F.pad(planes, (0, 0, 0, right, 0, down))
        cells = padded.reshape(self.batch, self.rows, self.cell_height, self.columns, self.cell_width, -1)
        return cells.permute(0, 1, 3, 5, 2, 4).reshape(self.cells, -1, self.cell_height * self.cell_width)

    def labels(self, nearest: torch.Tensor) -> torch.Tensor:
        """(B, H, W) int64 numbers of centres within their image, from (cells, pixels) indices into _NEIGHBOURS."""
        steps = torch.tensor([down * self.columns + right for down, right in _NEIGHBOURS], device=nearest.device)
        cell = torch.arange(self.rows * self.columns, device=nearest.device).repeat(self.batch)
        centre = cell[:, None] + steps[nearest.long()]
        centre = centre.reshape(*self.shape, self.cell_height, self.cell_width).permute(0, 1, 3, 2, 4)
        whole = centre.reshape(self.batch, self.rows * self.cell_height, self.columns * self.cell_width)
        return whole[:, : self.height, : self.width].contiguous()


@dataclass
class _Centres:
    """What each centre is, all float64 and of the grid's shape (B, rows, columns).

    color: (…, 3). position: (…, 2), y and x from the upper left corner of the cell that the centre began in.
    color_scale: what its squared colour distances are divided by.
    """

    color: torch.Tensor
    position: torch.Tensor
    color_scale: torch.Tensor


def _cluster(
    grid: _Grid, colors: torch.Tensor, region_size: int, *, adapt: bool, parts: Sequence[Tuple[slice, slice]]
) -> torch.Tensor:
    """k-means of colours and positions: for each pixel the neighbour, of _NEIGHBOURS, whose centre is the nearest.

    Args:
        colors: (cells, 3, pixels) uint8.
        adapt: whether each centre's colour distances are divided by the largest that it had.
        parts: slices of cells and of their pixels to work on at a time.

    Returns:
        (cells, pixels) uint8.
    """
    device = colors.device
    ones = torch.ones(grid.batch, grid.height, grid.width, 1, dtype=torch.uint8, device=device)
    inside = grid.blocks(ones)[:, 0].bool()
    y = torch.arange(grid.cell_height, dtype=torch.float64, device=device).repeat_interleave(grid.cell_width)
    x = torch.arange(grid.cell_width, dtype=torch.float64, device=device).repeat(grid.cell_height)
    nearest = torch.empty(inside.shape, dtype=torch.uint8, device=device)
    scale = _FIRST_COLOR_SCALE if adapt else 1.0
    position_weight = 1 / region_size**2 if adapt else (_RULER / region_size) ** 2

    sums = torch.zeros(grid.cells, len(_NEIGHBOURS), 6, dtype=torch.float64, device=device)
    farthest = torch.zeros(grid.cells, len(_NEIGHBOURS), dtype=torch.float64, device=device)
    centres = _Centres(
        color=torch.zeros(*grid.shape, 3, dtype=torch.float64, device=device),
        position=torch.zeros(*grid.shape, 2, dtype=torch.float64, device=device),
        color_scale=torch.full(grid.shape, scale, dtype=torch.float64, device=device),
    )
    # The first centres are the means of their cells.
    own = _NEIGHBOURS.index((0, 0))
    for cells, pixels in parts:
        features = _features(colors[cells, :, pixels], y[pixels], x[pixels])
        sums[cells, own] += torch.bmm(features[:, :6], inside[cells, pixels].double()[:, :, None])[:, :, 0]
    _move(grid, centres, sums)
    neighbours = torch.arange(len(_NEIGHBOURS), dtype=torch.uint8, device=device)[:, None]
    for iteration in range(_ITERATIONS):
        of_color, of_position = _coefficients(grid, centres, position_weight)
        coefficients = of_color / _of_neighbours(grid, centres.color_scale[..., None], 1.0) + of_position
        sums.zero_()
        farthest.zero_()
        for cells, pixels in parts:
            features = _features(colors[cells, :, pixels], y[pixels], x[pixels])
            choice = _argmin(torch.bmm(coefficients[cells], features))
            nearest[cells, pixels] = choice.masked_fill_(~inside[cells, pixels], _NO_NEIGHBOUR)
            if iteration + 1 == _ITERATIONS:
                continue
            chosen = (choice[:, None] == neighbours).double()
            sums[cells] += torch.bmm(chosen, features[:, :6].transpose(1, 2))
            if adapt:
                largest = torch.bmm(of_color[cells], features).mul_(chosen).amax(2)
                farthest[cells] = torch.maximum(farthest[cells], largest)
        if adapt:
            largest = _spread(grid, farthest[..., None], torch.maximum)[..., 0]
            before = torch.ones_like(largest) if iteration == 0 else centres.color_scale
            centres.color_scale = torch.maximum(before, largest)
        _move(grid, centres, sums)
    return nearest.masked_fill_(~inside, own)


def _argmin(distance: torch.Tensor) -> torch.Tensor:
    """(cells, pixels) uint8, the first least of (cells, 9, pixels). Several times as fast on a CPU as torch's own."""
    least = distance.amin(1)
    choice = torch.zeros(least.shape, dtype=torch.uint8, device=distance.device)
    for index in reversed(range(distance.shape[1])):
        choice.masked_fill_(distance[:, index] == least, index)
    return choice


def _parts(grid: _Grid, pixels_at_once: int) -> List[Tuple[slice, slice]]:
    """Some cells, or some pixels of one cell, at a time."""
    cell = grid.cell_height * grid.cell_width
    cells_at_once = max(1, pixels_at_once // cell)
    return [
        (slice(cells, cells + cells_at_once), slice(pixels, min(pixels + pixels_at_once, cell)))
        for cells in range(0, grid.cells, cells_at_once)
        for pixels in range(0, cell, pixels_at_once)
    ]


def _features(colors: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(cells, 7, pixels) float64: 1, the colours, y, x, and the sum of the colours' squares."""
    cells, _, pixels = colors.shape
    features = torch.empty(cells, 7, pixels, dtype=torch.float64, device=colors.device)
    features[:, 0] = 1
    features[:, 1:4] = colors
    features[:, 4], features[:, 5] = y, x
    features[:, 6] = features[:, 1:4].square().sum(1)
    return features


def _coefficients(grid: _Grid, centres: _Centres, position_weight: float) -> Tuple[torch.Tensor, torch.Tensor]:
    """Squared distances of colours and of positions as linear functions of `_features`: two (cells, 9, 7).

    That of positions lacks the pixel's own squares, which are the same for all centres.
    """
    color = _of_neighbours(grid, centres.color, 0.0)
    position = _of_neighbours(grid, centres.position, math.sqrt(_FAR))
    cell_size = torch.tensor([grid.cell_height, grid.cell_width], dtype=torch.float64, device=color.device)
    position = position + torch.tensor(_NEIGHBOURS, dtype=torch.float64, device=color.device) * cell_size
    zeros = torch.zeros_like(color[..., :1])
    of_color = [color.square().sum(2, keepdim=True), -2 * color, zeros, zeros, zeros + 1]
    of_position = [position.square().sum(2, keepdim=True), zeros, zeros, zeros, -2 * position, zeros]
    return torch.cat(of_color, 2), torch.cat(of_position, 2) * position_weight


def _of_neighbours(grid: _Grid, values: torch.Tensor, outside: float) -> torch.Tensor:
    """(B, rows, columns, D) as (cells, 9, D): the values of each cell's neighbours, `outside` beyond the grid."""
    padded = F.pad(values, (0, 0, 1, 1, 1, 1), value=outside)
    views = [
        padded[:, 1 + down : 1 + down + grid.rows, 1 + right : 1 + right + grid.columns] for down, right in _NEIGHBOURS
    ]
    return torch.stack(views, 3).reshape(grid.cells, len(_NEIGHBOURS), -1)


def _spread(
    grid: _Grid, values: torch.Tensor, combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """The opposite: (cells, 9, D) values that cells have for their neighbours, combined to (B, rows, columns, D)."""
    values = values.reshape(*grid.shape, len(_NEIGHBOURS), -1)
    result = values.new_zeros(grid.batch, grid.rows + 2, grid.columns + 2, values.shape[-1])
    for index, (down, right) in enumerate(_NEIGHBOURS):
        view = result[:, 1 + down : 1 + down + grid.rows, 1 + right : 1 + right + grid.columns]
        view.copy_(combine(view, values[..., index, :]))
    return result[:, 1:-1, 1:-1]


def _move(grid: _Grid, centres: _Centres, sums: torch.Tensor) -> None:
    """Move each centre that has pixels to their mean.

    sums: (cells, 9, 6), counts and sums of colours and positions of the pixels of a cell that chose each neighbour.
    """
    cell_size = torch.tensor([grid.cell_height, grid.cell_width], dtype=torch.float64, device=sums.device)
    corner = torch.tensor(_NEIGHBOURS, dtype=torch.float64, device=sums.device) * cell_size
    sums = sums.clone()
    sums[..., 4:] -= sums[..., :1] * corner
    total = _spread(grid, sums, torch.add)
    count = total[..., :1]
    mean = total[..., 1:] / count.clamp(min=1)
    centres.color = torch.where(count > 0, mean[..., :3], centres.color)
    centres.position = torch.where(count > 0, mean[..., 3:], centres.position)
