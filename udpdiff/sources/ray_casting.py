"""Casts rays at a few analytic solids, a ground plane and a spherical backdrop.

Everything is vectorised over all rays of all frames. The module knows shapes and textures; it does not know physics,
captions or random numbers.

Frames: the world has y up and the ground at y = 0; the camera looks along +z with x right and y down (OpenCV).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udpdiff.clip import BACKDROP_ID, FIRST_SOLID_ID, GROUND_ID

BACKDROP_RADIUS = 11.0
_FAR = np.float32(1e9)


@dataclass(frozen=True)
class Surface:
    """How a surface looks.

    Attributes:
        color: Base colour in [0, 1].
        second_color: Of the pattern, in [0, 1].
        pattern: plain, checkered, striped or spotted.
        period: Of the pattern, in units of the solid.
        shine: Strength of the highlight.
    """

    color: tuple[float, float, float]
    second_color: tuple[float, float, float]
    pattern: str
    period: float
    shine: float


@dataclass(frozen=True)
class Body:
    """A solid over time.

    Attributes:
        shape: ball, cube, cylinder or cone.
        half_extents: (3,).
        centers: (T, 3), in the world.
        rotations: (T, 3, 3), object to world.
        surface: How it looks.
    """

    shape: str
    half_extents: np.ndarray
    centers: np.ndarray
    rotations: np.ndarray
    surface: Surface


@dataclass(frozen=True)
class Hits:
    """What each of P rays a frame meets first.

    Attributes:
        entity_ids: uint16 (T, P).
        distance: float32 (T, P), along the unit ray.
        points: (T, P, 3), in the world.
        normals: (T, P, 3), in the world, of unit length.
        local: (T, P, 3), the points in the frame of the entity, where its texture lives.
    """

    entity_ids: np.ndarray
    distance: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    local: np.ndarray


def camera_rays(world_to_camera: np.ndarray, height: int, width: int, focal: float, samples: int):
    """Return the rays through the pixels of a pinhole camera.

    Args:
        world_to_camera: (T, 4, 4).
        height: Pixels.
        width: Pixels.
        focal: Focal length in pixels.
        samples: Sub-pixel samples a side.

    Returns:
        Unit directions in the world (T, P, 3), origins (T, 3) and the cosine to the optical axis (P,), where
        P = height * width * samples**2, ordered as (height * samples, width * samples) row by row.
    """
    rows = (np.arange(height * samples, dtype=np.float32) + 0.5) / samples
    columns = (np.arange(width * samples, dtype=np.float32) + 0.5) / samples
    y, x = np.meshgrid((rows - height / 2) / focal, (columns - width / 2) / focal, indexing="ij")
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)
    cosine = 1 / np.linalg.norm(rays, axis=-1)
    rays *= cosine[:, None]
    rotation = world_to_camera[:, :3, :3].astype(np.float32)
    origins = -np.einsum("tji,tj->ti", rotation, world_to_camera[:, :3, 3].astype(np.float32))
    return rays @ rotation, origins, cosine


def cast(bodies: list[Body], origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Find the nearest surface along each ray: of the solids, the ground inside the backdrop's sphere, the backdrop.

    Args:
        bodies: The solids.
        origins: (T, 3), in the world.
        directions: (T, P, 3), of unit length, in the world.
    """
    shape = directions.shape[:2]
    origin_rays = np.broadcast_to(origins[:, None], directions.shape)
    distance, local, normals = _hit_backdrop(origin_rays, directions)
    entity_ids = np.full(shape, BACKDROP_ID, np.uint16)

    down = directions[..., 1]
    ground = np.where(down < -1e-6, -origin_rays[..., 1] / np.minimum(down, -1e-6), _FAR)
    nearer = ground < distance
    distance = np.where(nearer, ground, distance)
    entity_ids[nearer] = GROUND_ID
    points = origin_rays + distance[..., None] * directions
    local = np.where(nearer[..., None], points, local)
    normals = np.where(nearer[..., None], np.float32([0, 1, 0]), normals)

    for index, body in enumerate(bodies):
        # Solids cover few pixels: rays that miss the bounding sphere are dropped before the exact test.
        radius = float(np.linalg.norm(body.half_extents))
        offset = body.centers[:, None].astype(np.float32) - origin_rays
        along = np.einsum("tpi,tpi->tp", offset, directions)
        near = np.einsum("tpi,tpi->tp", offset, offset) - along**2 < radius**2
        if not near.any():
            continue
        frame = np.nonzero(near)[0]
        rotation = body.rotations.astype(np.float32)[frame]
        start = np.einsum("nij,ni->nj", rotation, -offset[near])
        ray = np.einsum("nij,ni->nj", rotation, directions[near])
        t, normal = _INTERSECT[body.shape](start / body.half_extents, ray / body.half_extents)
        hit = t < distance[near]
        chosen = np.zeros(shape, bool)
        chosen[near] = hit
        distance[chosen] = t[hit]
        entity_ids[chosen] = FIRST_SOLID_ID + index
        local[chosen] = (start + t[:, None] * ray)[hit]
        normal = np.einsum("nij,nj->ni", rotation, normal / body.half_extents)[hit]
        normals[chosen] = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    points = origin_rays + distance[..., None] * directions
    return Hits(entity_ids, distance.astype(np.float32), points, normals.astype(np.float32), local)


def albedo(surface: Surface, local: np.ndarray) -> np.ndarray:
    """Return the colours (N, 3) in [0, 1] of a surface at points (N, 3) of its own frame."""
    x, y, z = (local / surface.period).T
    if surface.pattern == "checkered":
        mix = (np.floor(x) + np.floor(y + 0.01) + np.floor(z)) % 2
    elif surface.pattern == "striped":
        mix = np.floor(x + 0.5 * y) % 2
    elif surface.pattern == "spotted":
        dx, dy, dz = ((value % 1) - 0.5 for value in (x, y, z))
        mix = (dx**2 + dy**2 * (np.abs(y) > 0.02) + dz**2 < 0.1).astype(np.float32)
    else:
        mix = np.zeros_like(x)
    mix = mix[:, None].astype(np.float32)
    return np.float32(surface.color) * (1 - mix) + np.float32(surface.second_color) * mix


def value_noise(x: np.ndarray, y: np.ndarray, salt: float) -> np.ndarray:
    """Return smooth noise in [-1, 1] on the plane, the same for the same coordinates."""
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)

    def lattice(i, j):
        value = np.sin(i * 127.1 + j * 311.7 + salt * 74.7) * 43758.547
        return value - np.floor(value)

    top = lattice(x0, y0) * (1 - fx) + lattice(x0 + 1, y0) * fx
    bottom = lattice(x0, y0 + 1) * (1 - fx) + lattice(x0 + 1, y0 + 1) * fx
    return (2 * (top * (1 - fy) + bottom * fy) - 1).astype(np.float32)


def _hit_backdrop(origins, directions):
    along = np.einsum("tpi,tpi->tp", origins, directions)
    inside = BACKDROP_RADIUS**2 - np.einsum("tpi,tpi->tp", origins, origins) + along**2
    distance = -along + np.sqrt(inside)
    points = origins + distance[..., None] * directions
    return distance, points, -points / BACKDROP_RADIUS


def _hit_ball(start, ray):
    a = np.einsum("ni,ni->n", ray, ray)
    b = np.einsum("ni,ni->n", start, ray)
    c = np.einsum("ni,ni->n", start, start) - 1
    inside = b * b - a * c
    t = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, _FAR)
    t = np.where(t > 0, t, _FAR)
    return t, start + np.minimum(t, 1e6)[:, None] * ray


def _hit_cube(start, ray):
    safe = np.where(np.abs(ray) < 1e-9, 1e-9, ray)
    first, second = (-1 - start) / safe, (1 - start) / safe
    low = np.minimum(first, second)
    enter, leave = low.max(-1), np.maximum(first, second).min(-1)
    t = np.where((enter < leave) & (enter > 0), enter, _FAR)
    axis = low.argmax(-1)
    normal = np.zeros_like(start)
    rows = np.arange(len(start))
    normal[rows, axis] = -np.sign(ray[rows, axis])
    return t, normal


def _hit_cylinder(start, ray):
    return _hit_round(start, ray, slope=0.0)


def _hit_cone(start, ray):
    return _hit_round(start, ray, slope=0.5)


def _hit_round(start, ray, slope):
    """A body of revolution about y in [-1, 1] whose radius is 1 - slope * (y + 1): a cylinder (0) or a cone (0.5)."""
    rim = 1 - slope * (start[:, 1] + 1)
    fall = -slope * ray[:, 1]
    a = ray[:, 0] ** 2 + ray[:, 2] ** 2 - fall**2
    b = start[:, 0] * ray[:, 0] + start[:, 2] * ray[:, 2] - rim * fall
    c = start[:, 0] ** 2 + start[:, 2] ** 2 - rim**2
    a = np.where(np.abs(a) < 1e-9, 1e-9, a)
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    best = np.full(len(start), _FAR, np.float32)
    normal = np.zeros_like(start)
    for sign in (-1, 1):
        t = (-b + sign * root) / a
        point = start + np.clip(t, -1e6, 1e6)[:, None] * ray
        radius = 1 - slope * (point[:, 1] + 1)
        side = (b * b - a * c > 0) & (t > 0) & (np.abs(point[:, 1]) <= 1) & (radius >= 0) & (t < best)
        best = np.where(side, t, best)
        outward = np.stack([point[:, 0], slope * radius, point[:, 2]], -1)
        normal = np.where(side[:, None], outward, normal)
    for level, direction in ((-1.0, -1.0), (1.0, 1.0)):
        t = (level - start[:, 1]) / np.where(np.abs(ray[:, 1]) < 1e-9, 1e-9, ray[:, 1])
        point = start + np.clip(t, -1e6, 1e6)[:, None] * ray
        cap = (t > 0) & (point[:, 0] ** 2 + point[:, 2] ** 2 <= (1 - slope * (level + 1)) ** 2) & (t < best)
        best = np.where(cap, t, best)
        normal = np.where(cap[:, None], np.float32([0, direction, 0]), normal)
    return best, normal


_INTERSECT = {"ball": _hit_ball, "cube": _hit_cube, "cylinder": _hit_cylinder, "cone": _hit_cone}
