"""Where to write a name so that it covers least: geometry of boxes, in pixels.

Here: numbers only. Not here: drawing (`figures`).
"""

import numpy as np


def free_place(
    centre: np.ndarray,
    size: np.ndarray,
    obstacles: np.ndarray,
    frame: np.ndarray,
    *,
    pixels_per_point: float,
) -> tuple[np.ndarray, float]:
    """Finds where a box next to a point covers least; everything is in pixels.

    Args:
        centre: [2] the point.
        size: [2] width and height of the box.
        obstacles: [boxes, 2, 2] what should stay uncovered.
        frame: [2, 2] what should not be left.
        pixels_per_point: resolution of the figure.

    Returns:
        The middle of the box, [2], and its distance from the point in points.
    """
    angle, distance = np.meshgrid(
        np.linspace(0, 2 * np.pi, 16, endpoint=False), np.arange(6, 80, 6)
    )
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    reach = size / 2 + distance[..., np.newaxis] * pixels_per_point
    middles = (centre + direction * reach).reshape(-1, 2)
    boxes = box(middles, size)
    covered = overlap(boxes[:, np.newaxis], obstacles).sum(-1)
    outside = size.prod() - overlap(boxes, frame)
    # A step of distance is worth a thin line through the name, but not a marker.
    detour = distance.ravel() * pixels_per_point * size[1] / 4
    best = np.argmin(covered + outside + detour)
    return middles[best], float(distance.flat[best])


def box(middle: np.ndarray, size: np.ndarray | float) -> np.ndarray:
    """Returns boxes [.., (lower left, upper right), 2] around middles [.., 2]."""
    half = np.asarray(size) / 2
    return np.stack([middle - half, middle + half], axis=-2)


def overlap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns the areas [..] that boxes [.., 2, 2] share."""
    high = np.minimum(ours[..., 1, :], theirs[..., 1, :])
    low = np.maximum(ours[..., 0, :], theirs[..., 0, :])
    return (high - low).clip(0).prod(-1)
