"""Procedural 3-D scenes: textured solids that move under simple physics before a moving camera, with exact truth.

A scene is a pure function of its settings and its seed. This module draws what is in the scene and puts the pieces
together; `physics` moves, `ray_casting` sees, `scene_captions` describes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udpdiff.sources import ray_casting, scene_captions
from udpdiff.sources.physics import Mover, simulate
from udpdiff.sources.ray_casting import FIRST_SOLID_ID, Body, Hits, Surface

SHAPES = ("ball", "cube", "cylinder", "cone")
COLORS = {
    "red": (0.86, 0.10, 0.10),
    "orange": (0.98, 0.50, 0.05),
    "yellow": (0.96, 0.86, 0.12),
    "green": (0.12, 0.62, 0.18),
    "cyan": (0.10, 0.75, 0.80),
    "blue": (0.12, 0.25, 0.85),
    "purple": (0.50, 0.16, 0.70),
    "pink": (0.96, 0.45, 0.70),
    "white": (0.95, 0.95, 0.95),
}
GROUNDS = {
    "grey": (0.52, 0.52, 0.54),
    "wooden": (0.58, 0.38, 0.20),
    "grassy": (0.33, 0.50, 0.22),
    "sandy": (0.80, 0.70, 0.48),
    "dark": (0.22, 0.22, 0.27),
}
BACKDROPS = {
    "blue": ((0.75, 0.87, 0.98), (0.30, 0.55, 0.92)),
    "sunset": ((0.99, 0.70, 0.38), (0.60, 0.30, 0.50)),
    "grey": ((0.80, 0.80, 0.82), (0.62, 0.63, 0.68)),
    "night": ((0.16, 0.18, 0.34), (0.03, 0.03, 0.12)),
}
CAMERAS = ("still", "left", "right", "in", "out")
_HALF_WIDTH = 3.0
_FIELD_OF_VIEW = 46.0  # degrees, vertical


@dataclass(frozen=True)
class SceneSettings:
    """What decides a scene beside its seed.

    Attributes:
        height, width, num_frames, fps: Of the clip.
        min_solids, max_solids: How many a scene holds, both ends included; few are likelier than many.
        solid_size: Multiplies every solid's size; 1 gives half widths of 0.42 to 0.9 on a ground 6 wide.
    """

    height: int
    width: int
    num_frames: int
    fps: float
    min_solids: int = 2
    max_solids: int = 5
    solid_size: float = 1.0


@dataclass(frozen=True)
class SceneClip:
    """A rendered scene.

    Attributes:
        video: uint8 (T, H, W, 3).
        entity_ids: uint16 (T, H, W), ground 1, backdrop 2, solids from 3.
        z: float32 (T, H, W), distance along the optical axis in world units.
        flow: float16 (T-1, H, W, 2), forward, (x, y) in pixels.
        normals, camera: float16 (T, H, W, 3) in the world; float32 (T, 4, 4), world to camera.
        brief, detailed, scene: Captions, and what was drawn as plain data.
    """

    video: np.ndarray
    entity_ids: np.ndarray
    z: np.ndarray
    flow: np.ndarray
    normals: np.ndarray
    camera: np.ndarray
    brief: str
    detailed: str
    scene: dict


def render_clip(settings: SceneSettings, seed: int) -> SceneClip:
    """Return the scene of this seed, rendered."""
    rng = np.random.default_rng([seed, 20250312])
    camera, camera_motion = _draw_camera(rng, settings)
    solids, bodies = _draw_solids(rng, settings, camera[0])
    ground_name, backdrop_name = str(rng.choice(list(GROUNDS))), str(rng.choice(list(BACKDROPS)))
    ground_color = GROUNDS[ground_name]
    ground = Surface(
        ground_color,
        tuple(min(1.0, value * 1.35 + 0.06) for value in ground_color),
        str(rng.choice(["plain", "checkered", "striped"], p=[0.5, 0.25, 0.25])),
        float(rng.uniform(0.8, 1.3)),
        0.0,
    )
    scene = {
        "solids": solids,
        "ground": {"color": ground_name, "pattern": ground.pattern},
        "backdrop": backdrop_name,
        "camera": camera_motion,
    }
    light = np.array([rng.uniform(-0.7, 0.7), 1.0, rng.uniform(-0.9, -0.2)])
    light = (light / np.linalg.norm(light)).astype(np.float32)
    look = _Look(bodies, ground, BACKDROPS[backdrop_name], light, salt=float(rng.uniform(0, 50)))

    focal = 0.5 * settings.height / np.tan(np.radians(_FIELD_OF_VIEW) / 2)
    size = (settings.num_frames, settings.height, settings.width)
    rays, origins, cosine = ray_casting.camera_rays(camera, settings.height, settings.width, focal, 1)
    hits = ray_casting.cast(bodies, origins, rays)
    return SceneClip(
        video=_render_color(settings, camera, focal, look),
        entity_ids=hits.entity_ids.reshape(size),
        z=(hits.distance * cosine).reshape(size).astype(np.float32),
        flow=_forward_flow(hits, bodies, camera, focal, size),
        normals=hits.normals.reshape(*size, 3).astype(np.float16),
        camera=camera.astype(np.float32),
        brief=scene_captions.brief(scene, rng),
        detailed=scene_captions.detailed(scene),
        scene=scene,
    )


@dataclass(frozen=True)
class _Look:
    bodies: list[Body]
    ground: Surface
    backdrop: tuple
    light: np.ndarray
    salt: float


def _draw_camera(rng, settings):
    """World-to-camera matrices (T, 4, 4) on an orbit around the middle of the scene, and the name of the motion."""
    motion = str(rng.choice(CAMERAS, p=[0.4, 0.15, 0.15, 0.15, 0.15]))
    seconds = np.arange(settings.num_frames) / settings.fps
    distance, height = rng.uniform(6.2, 7.6), rng.uniform(1.8, 3.4)
    azimuth = rng.uniform(-0.6, 0.6)
    speed = rng.uniform(0.12, 0.26)
    azimuths = azimuth + {"left": -1, "right": 1}.get(motion, 0) * speed * seconds
    distances = distance + {"in": -1, "out": 1}.get(motion, 0) * 5 * speed * seconds
    matrices = [
        _look_at(np.array([np.sin(a) * d, height, -np.cos(a) * d]), np.array([0.0, 0.55, 0.0]))
        for a, d in zip(azimuths, distances, strict=True)
    ]
    return np.stack(matrices), motion


def _look_at(eye, target):
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, -np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ eye
    return matrix


def _draw_solids(rng, settings, first_camera):
    counts = np.arange(settings.min_solids, settings.max_solids + 1)
    count = int(rng.choice(counts, p=(1 / counts) / (1 / counts).sum()))
    solids, movers, looks, places = [], [], [], []
    right, away = first_camera[0, [0, 2]], first_camera[2, [0, 2]] / np.linalg.norm(first_camera[2, [0, 2]])
    for _ in range(count):
        shape, color = str(rng.choice(SHAPES)), str(rng.choice(list(COLORS)))
        relative_size = float(rng.uniform(0.42, 0.9))
        size = relative_size * settings.solid_size
        place = _free_place(rng, places, size)
        places.append((place, size))
        motion = _draw_motion(rng, shape)
        heading = {"left": -right, "right": right, "away": away, "closer": -away}.get(motion["heading"])
        velocity = np.zeros(3)
        if heading is not None:
            velocity[[0, 2]] = heading * motion["speed"] + rng.normal(0, 0.05, 2)
        half = _half_extents(shape, size)
        lift = rng.uniform(0.4, 1.4) if motion["action"] == "bounces" else 0.0
        spin = {"spins": rng.choice([-1, 1]) * rng.uniform(1.5, 3.0)}.get(motion["action"], rng.normal(0, 0.15))
        movers.append(
            Mover(
                position=np.array([place[0], half[1] + lift, place[1]]),
                velocity=velocity,
                radius=float(max(half[0], half[2])),
                rest_height=float(half[1]),
                yaw=float(rng.uniform(0, 2 * np.pi)),
                yaw_rate=float(spin),
                rolls=shape == "ball",
            )
        )
        pattern = str(rng.choice(["plain", "striped", "checkered", "spotted"], p=[0.64, 0.12, 0.12, 0.12]))
        tint = COLORS[color]
        second = (1.0, 1.0, 1.0) if color != "white" else (0.25, 0.25, 0.25)
        shine = float(rng.choice([0.0, 0.8], p=[0.6, 0.4]))
        looks.append((shape, half, Surface(tint, second, pattern, max(0.3, 0.6 * size), shine)))
        words = "large" if relative_size > 0.76 else "small" if relative_size < 0.54 else ""
        solids.append({"shape": shape, "color": color, "pattern": pattern, "shiny": shine > 0, "size": words} | motion)
    centers, rotations = simulate(movers, settings.num_frames, settings.fps, _HALF_WIDTH)
    bodies = [
        Body(shape, half.astype(np.float32), centers[i], rotations[i], surface)
        for i, (shape, half, surface) in enumerate(looks)
    ]
    return solids, bodies


def _half_extents(shape, size):
    if shape == "ball":
        return np.array([size, size, size])
    if shape == "cube":
        return np.array([size, size, size]) * 0.82
    return np.array([0.78 * size, size, 0.78 * size]) if shape == "cylinder" else np.array([size, 1.1 * size, size])


def _free_place(rng, places, size):
    """A spot on the ground that touches no other solid, if one is found in a few tries."""
    for _ in range(60):
        place = rng.uniform(-2.1, 2.1, 2)
        if all(np.linalg.norm(place - other) > size + reach + 0.15 for other, reach in places):
            break
    return place


def _draw_motion(rng, shape):
    action = str(rng.choice(["stays", "moves", "spins", "bounces"], p=[0.22, 0.5, 0.12, 0.16]))
    if shape == "ball" and action == "spins":
        action = "moves"
    heading = str(rng.choice(["left", "right", "away", "closer"])) if action == "moves" else ""
    return {"action": action, "heading": heading, "speed": float(rng.uniform(0.7, 1.8)) if heading else 0.0}


def _render_color(settings, camera, focal, look):
    samples = 2
    rays, origins, _ = ray_casting.camera_rays(camera, settings.height, settings.width, focal, samples)
    hits = ray_casting.cast(look.bodies, origins, rays)
    color = _shade(hits, rays, look)
    color = color.reshape(settings.num_frames, settings.height, samples, settings.width, samples, 3).mean((2, 4))
    return (np.clip(color, 0, 1) ** (1 / 1.3) * 255 + 0.5).astype(np.uint8)


def _shade(hits: Hits, rays, look: _Look):
    color = np.zeros((*hits.entity_ids.shape, 3), np.float32)
    sky = hits.entity_ids == ray_casting.BACKDROP_ID
    rise = np.clip(hits.local[sky][:, 1] / 7.0, 0, 1)[:, None]
    low, high = (np.float32(value) for value in look.backdrop)
    color[sky] = low * (1 - rise) + high * rise

    ground = hits.entity_ids == ray_casting.GROUND_ID
    spots = hits.local[ground]
    grain = value_noise_octaves(spots[:, 0], spots[:, 2], look.salt)
    color[ground] = ray_casting.albedo(look.ground, spots + np.float32([50, 0, 50])) * (1 + 0.12 * grain)[:, None]
    color[ground] *= _shadow(np.nonzero(ground)[0], spots, look)[:, None]
    for index, body in enumerate(look.bodies):
        own = hits.entity_ids == FIRST_SOLID_ID + index
        if not own.any():
            continue
        normal = hits.normals[own]
        diffuse = 0.42 + 0.62 * np.maximum(normal @ look.light, 0)
        half = look.light - rays[own]
        half /= np.linalg.norm(half, axis=-1, keepdims=True)
        gloss = body.surface.shine * np.maximum(np.einsum("ni,ni->n", normal, half), 0) ** 40
        color[own] = ray_casting.albedo(body.surface, hits.local[own]) * diffuse[:, None] + gloss[:, None]
    return color


def value_noise_octaves(x, y, salt):
    """Two octaves of value noise, about [-1, 1]."""
    return 0.65 * ray_casting.value_noise(1.7 * x, 1.7 * y, salt) + 0.35 * ray_casting.value_noise(5 * x, 5 * y, salt)


def _shadow(frame, spots, look):
    """Soft shadow of each solid on the ground: a dark disk where the light through its centre meets the ground."""
    factor = np.ones(len(spots), np.float32)
    for body in look.bodies:
        center = body.centers[frame]
        offset = center[:, 1:2] / look.light[1] * look.light[[0, 2]]
        reach = np.hypot(*(spots[:, [0, 2]] - center[:, [0, 2]] + offset).T) / (1.25 * body.half_extents[[0, 2]].max())
        factor *= 1 - 0.5 * np.clip(1.6 * (1 - reach), 0, 1).astype(np.float32)
    return factor


def _forward_flow(hits: Hits, bodies, camera, focal, size):
    """Where the surface point of each pixel is one frame later, minus where it is now, in pixels."""
    num_frames, height, width = size
    points = hits.points[:-1].copy()
    for index, body in enumerate(bodies):
        own = hits.entity_ids[:-1] == FIRST_SOLID_ID + index
        frame = np.nonzero(own)[0] + 1
        points[own] = np.einsum("nij,nj->ni", body.rotations[frame], hits.local[:-1][own]) + body.centers[frame]
    seen = np.einsum("tij,tpj->tpi", camera[1:, :3, :3], points) + camera[1:, None, :3, 3]
    x = seen[..., 0] / seen[..., 2] * focal + width / 2
    y = seen[..., 1] / seen[..., 2] * focal + height / 2
    later = np.stack([x, y], -1).reshape(num_frames - 1, height, width, 2)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return (later - np.stack([columns, rows], -1)).astype(np.float16)
