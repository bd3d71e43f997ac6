"""SLIC and SLICO for a batch of images, as PyTorch operators on the images' device."""

import math
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

import torch
from torch.nn import functional as F

from mmseg.errors import ConfigError

TORCH_ALGORITHMS = ("slic", "slico")

_ITERATIONS = 10
_RULER = 10
# What slico divides colour distances by in the first iteration, so that only the positions count.
_FIRST_COLOR_SCALE = math.inf
# Centres are multiples of one in so many, which makes the squared distances to them exact.
_STEPS = 8
_NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
_OWN = _NEIGHBOURS.index((0, 0))
_NO_NEIGHBOUR = len(_NEIGHBOURS)
_FAR = 1e30
# What stays in a cache, and what fills a GPU.
_PIXELS_AT_ONCE = {"cpu": 2**14}
_PIXELS_AT_ONCE_ELSEWHERE = 2**21
_IMAGE_PIXELS_AT_ONCE = 8

# Cells, and which rows and columns of their pixels.
_Part = Tuple[slice, slice, slice]


def torch_superpixels(
    images: torch.Tensor, algorithm: str, max_count: int, *, pixels_at_once: Optional[int] = None
) -> torch.Tensor:
    """Divide each image of a batch into at most `max_count` superpixels, by SLIC or SLICO with 10 iterations.

    Achanta, Shaji, Smith, Lucchi, Fua, Süsstrunk: SLIC Superpixels Compared to State-of-the-Art Superpixel Methods,
    TPAMI 2012, with the parameters that OpenCV's ximgproc has: the colours as they are, region_size
    2 round(sqrt(H W / max_count)), grown until there are not too many, ruler 10 for slic; slico divides the colour
    distance by the largest one that the superpixel had instead. As OpenCV's labels do, a superpixel may have parts
    that lie apart.

    The first centres are the means of the cells of a grid, and slico's first iteration goes by the positions alone. A
    pixel chooses among the superpixels that began in its own cell and in the eight around (Ren, Prisacariu, Reid:
    gSLICr, SLIC superpixels at over 250Hz, 2015), of those only the ones whose centres it is within region_size of on
    both axes. A pixel that none of them reaches stays where it is.

    Centres are rounded to eighths, so that what is summed are multiples of one number that float64 holds exactly.
    Neither the device nor the order of the sums nor the other images of a batch change an image's superpixels.

    Args:
        images: (B, H, W, 3) uint8, on any device.
        algorithm: slic or slico.
        max_count: most superpixels in an image, at least 1.
        pixels_at_once: of how many pixels the distances to nine centres are held at a time, some 300 bytes each;
            images of 8 times as many pixels are worked on together. Default: what suits the device.

    Returns:
        (B, H, W) int32 labels on the images' device, each of an image's 0 … n - 1 in use, in the order of the grid.

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
    while grid.rows * grid.columns > max_count:
        region_size += 2 * math.ceil(region_size / 32)
        grid = _Grid.of(batch, height, width, region_size)
    parts = _parts(grid, pixels_at_once)
    nearest = _cluster(grid, grid.blocks(images), region_size, adapt=algorithm == "slico", parts=parts)
    return _without_gaps(grid.labels(nearest), grid.rows * grid.columns)


def _without_gaps(labels: torch.Tensor, count: int) -> torch.Tensor:
    """(B, H, W) int32 labels in the same order, from int64 ones below `count` of which some are not in use."""
    flat = labels.flatten(1)
    used = flat.new_zeros(len(flat), count).scatter_(1, flat, torch.ones_like(flat))
    return (used.cumsum(1) - 1).gather(1, flat).reshape(labels.shape).to(torch.int32)


@dataclass(frozen=True)
class _Grid:
    """Images of `batch` x `height` x `width` pixels in `rows` x `columns` cells of `cell_height` x `cell_width`.

    The last row and column of cells may reach over the image's edge. Blocks are arrays in the order of the cells:
    (cells of all images, …, cell_height, cell_width).
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
        """(B, H, W, D) as (cells, D, cell_height, cell_width), with zeros where a cell reaches over the edge."""
        down, right = self.rows * self.cell_height - self.height, self.columns * self.cell_width - self.width
        padded = F.pad(planes, (0, 0, 0, right, 0, down))
        cells = padded.reshape(self.batch, self.rows, self.cell_height, self.columns, self.cell_width, -1)
        return cells.permute(0, 1, 3, 5, 2, 4).reshape(self.cells, -1, self.cell_height, self.cell_width)

    def labels(self, nearest: torch.Tensor) -> torch.Tensor:
        """(B, H, W) int64 numbers of centres within their image, from blocks of indices into _NEIGHBOURS."""
        steps = torch.tensor([down * self.columns + right for down, right in _NEIGHBOURS], device=nearest.device)
        cell = torch.arange(self.rows * self.columns, device=nearest.device).repeat(self.batch)
        centre = cell[:, None, None] + steps[nearest.long()]
        centre = centre.reshape(*self.shape, self.cell_height, self.cell_width).permute(0, 1, 3, 2, 4)
        whole = centre.reshape(self.batch, self.rows * self.cell_height, self.columns * self.cell_width)
        return whole[:, : self.height, : self.width].contiguous()

    def corners(self, device: torch.device) -> torch.Tensor:
        """(9, 2) float64: y and x of the upper left corners of a cell's neighbours, from its own."""
        corners = [(down * self.cell_height, right * self.cell_width) for down, right in _NEIGHBOURS]
        return torch.tensor(corners, dtype=torch.float64, device=device)


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
    grid: _Grid, colors: torch.Tensor, region_size: int, *, adapt: bool, parts: Sequence[_Part]
) -> torch.Tensor:
    """k-means of colours and positions: for each pixel the neighbour, of _NEIGHBOURS, whose centre is the nearest.

    Args:
        colors: (cells, 3, cell_height, cell_width) uint8.
        adapt: whether each centre's colour distances are divided by the largest that it had.
        parts: what to work on at a time.

    Returns:
        (cells, cell_height, cell_width) uint8.
    """
    device = colors.device
    ones = torch.ones(grid.batch, grid.height, grid.width, 1, dtype=torch.uint8, device=device)
    outside = grid.blocks(ones)[:, 0] == 0
    nearest = torch.full(outside.shape, _OWN, dtype=torch.uint8, device=device).masked_fill_(outside, _NO_NEIGHBOUR)
    sums = torch.zeros(grid.cells, len(_NEIGHBOURS), 6, dtype=torch.float64, device=device)
    farthest = torch.zeros(grid.cells, len(_NEIGHBOURS), dtype=torch.float64, device=device)
    corners = grid.corners(device)
    centres = _Centres(
        color=torch.zeros(*grid.shape, 3, dtype=torch.float64, device=device),
        position=torch.zeros(*grid.shape, 2, dtype=torch.float64, device=device),
        color_scale=torch.full(grid.shape, _FIRST_COLOR_SCALE if adapt else 1.0, dtype=torch.float64, device=device),
    )
    # The first centres are the means of their cells.
    for part in parts:
        sums[part[0]] += _sums(_features(colors, part), _chosen(nearest[part]))
    _move(grid, centres, sums, corners)
    for iteration in range(_ITERATIONS):
        position = _of_neighbours(grid, centres.position, math.sqrt(_FAR)) + corners
        of_color, of_position = _coefficients(_of_neighbours(grid, centres.color, 0.0), position)
        scale = _of_neighbours(grid, centres.color_scale[..., None], 1.0)
        # Of float32's precision, so that the products are exact.
        color_weight = (torch.full_like(scale, region_size**2) / scale).float().double()
        coefficients = of_color * color_weight + of_position * (1 if adapt else _RULER**2)
        sums.zero_()
        farthest.zero_()
        for part in parts:
            cells = part[0]
            features = _features(colors, part)
            distance = torch.bmm(coefficients[cells], features)
            distance.masked_fill_(_beyond(position[cells], part, region_size), _FAR)
            nearest[part] = _choose(distance, nearest[part]).masked_fill_(outside[part], _NO_NEIGHBOUR)
            if iteration + 1 == _ITERATIONS:
                continue
            chosen = _chosen(nearest[part])
            sums[cells] += _sums(features, chosen)
            if adapt:
                largest = torch.bmm(of_color[cells], features).mul_(chosen).amax(2)
                farthest[cells] = torch.maximum(farthest[cells], largest)
        if adapt:
            largest = _spread(grid, farthest[..., None], torch.maximum)[..., 0]
            before = torch.ones_like(largest) if iteration == 0 else centres.color_scale
            centres.color_scale = torch.maximum(before, largest)
        _move(grid, centres, sums, corners)
    return nearest.masked_fill_(outside, _OWN)


def _parts(grid: _Grid, pixels_at_once: int) -> List[_Part]:
    """Some cells, or some rows of one cell, or some pixels of one row, at a time."""
    cell = grid.cell_height * grid.cell_width
    cells_at_once = max(1, pixels_at_once // cell)
    rows_at_once = min(grid.cell_height, max(1, pixels_at_once // grid.cell_width))
    columns_at_once = min(grid.cell_width, pixels_at_once)
    return [
        (
            slice(cells, cells + cells_at_once),
            slice(row, min(row + rows_at_once, grid.cell_height)),
            slice(column, min(column + columns_at_once, grid.cell_width)),
        )
        for cells in range(0, grid.cells, cells_at_once)
        for row in range(0, grid.cell_height, rows_at_once)
        for column in range(0, grid.cell_width, columns_at_once)
    ]


def _y_and_x(part: _Part, device: torch.device) -> Tuple[torch.Tensor, torch.Tensor]:
    """Of the part's rows and of its columns, from the upper left corner of their cell, float64."""
    rows, columns = part[1:]
    y = torch.arange(rows.start, rows.stop, dtype=torch.float64, device=device)
    return y, torch.arange(columns.start, columns.stop, dtype=torch.float64, device=device)


def _features(colors: torch.Tensor, part: _Part) -> torch.Tensor:
    """(cells, 7, pixels) float64: 1, the colours, y, x, and the sum of the colours' squares."""
    colors = colors[part[0], :, part[1], part[2]]
    cells, _, rows, columns = colors.shape
    y, x = _y_and_x(part, colors.device)
    features = torch.empty(cells, 7, rows, columns, dtype=torch.float64, device=colors.device)
    features[:, 0] = 1
    features[:, 1:4] = colors
    features[:, 4], features[:, 5] = y[:, None], x
    features[:, 6] = features[:, 1:4].square().sum(1)
    return features.flatten(2)


def _coefficients(color: torch.Tensor, position: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """Squared distances to (cells, 9, 3) colours and (cells, 9, 2) positions as linear functions of `_features`.

    Two (cells, 9, 7). That of positions lacks the pixel's own squares, which are the same for all centres.
    """
    zeros = torch.zeros_like(color[..., :1])
    of_color = [color.square().sum(2, keepdim=True), -2 * color, zeros, zeros, zeros + 1]
    of_position = [position.square().sum(2, keepdim=True), zeros, zeros, zeros, -2 * position, zeros]
    return torch.cat(of_color, 2), torch.cat(of_position, 2)


def _beyond(position: torch.Tensor, part: _Part, reach: int) -> torch.Tensor:
    """(cells, 9, pixels) bool: which pixels are not in the window of 2 `reach` x 2 `reach` around (cells, 9, 2)."""
    whole = position.floor() - 0.5
    y, x = _y_and_x(part, position.device)
    above_or_below = (y - whole[..., :1]).abs() > reach
    beside = (x - whole[..., 1:]).abs() > reach
    return (above_or_below[..., :, None] | beside[..., None, :]).flatten(2)


def _choose(distance: torch.Tensor, nearest: torch.Tensor) -> torch.Tensor:
    """(cells, rows, columns) uint8, the first least of (cells, 9, pixels), and `nearest` where all are far.

    Several times as fast on a CPU as torch's own argmin.
    """
    distance = distance.reshape(*distance.shape[:2], *nearest.shape[1:])
    # Less than _FAR, and more than any distance.
    least = distance.amin(1).clamp_(max=_FAR / 2)
    choice = nearest.clone()
    for index in reversed(range(len(_NEIGHBOURS))):
        choice.masked_fill_(distance[:, index] == least, index)
    return choice


def _chosen(nearest: torch.Tensor) -> torch.Tensor:
    """(cells, 9, pixels) float64, 1 where a pixel chose the neighbour, else 0."""
    neighbours = torch.arange(len(_NEIGHBOURS), dtype=torch.uint8, device=nearest.device)
    return (nearest.flatten(1)[:, None] == neighbours[:, None]).double()


def _sums(features: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """(cells, 9, 6): counts and sums of colours and positions of the pixels that chose each neighbour."""
    return torch.bmm(chosen, features[:, :6].transpose(1, 2))


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


def _move(grid: _Grid, centres: _Centres, sums: torch.Tensor, corners: torch.Tensor) -> None:
    """Move each centre that has pixels to their mean, as near as _STEPS allow.

    sums: (cells, 9, 6), counts and sums of colours and positions of the pixels of a cell that chose each neighbour,
    whose cells' corners are at (9, 2) `corners`.
    """
    sums = sums.clone()
    sums[..., 4:] -= sums[..., :1] * corners
    total = _spread(grid, sums, torch.add)
    count = total[..., :1]
    mean = torch.round(_STEPS * total[..., 1:] / count.clamp(min=1)) / _STEPS
    centres.color = torch.where(count > 0, mean[..., :3], centres.color)
    centres.position = torch.where(count > 0, mean[..., 3:], centres.position)
