"""Moves solids on the ground: sliding, rolling, spinning, bouncing, colliding.

Knows positions and velocities only; not how anything looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_GRAVITY = 9.8
_RESTITUTION = 0.75
_SUBSTEPS = 8


@dataclass
class Mover:
    """State of one solid.

    Attributes:
        position: (3,) of its centre.
        velocity: (3,), a second.
        radius: Of its footprint on the ground.
        rest_height: Of its centre when it stands on the ground.
        yaw: Radians.
        yaw_rate: Radians a second.
        rolls: Whether it turns as a ball does when it moves.
    """

    position: np.ndarray
    velocity: np.ndarray
    radius: float
    rest_height: float
    yaw: float
    yaw_rate: float
    rolls: bool


def simulate(movers: list[Mover], num_frames: int, fps: float, half_width: float):
    """Move solids that bounce off each other, the ground and the walls.

    Args:
        movers: N solids; they are changed in place.
        num_frames: T.
        fps: Frames a second.
        half_width: Distance of the four walls from the origin.

    Returns:
        Centres, float64 (N, T, 3), and rotations, float64 (N, T, 3, 3), object to world.
    """
    count = len(movers)
    centers = np.zeros((count, num_frames, 3))
    rotations = np.zeros((count, num_frames, 3, 3))
    orientation = [_yaw_matrix(mover.yaw) for mover in movers]
    for frame in range(num_frames):
        for index, mover in enumerate(movers):
            centers[index, frame] = mover.position
            rotations[index, frame] = orientation[index]
        for _ in range(_SUBSTEPS):
            _step(movers, orientation, 1 / fps / _SUBSTEPS, half_width)
    return centers, rotations


def _step(movers, orientation, seconds, half_width):
    for index, mover in enumerate(movers):
        mover.velocity[1] -= _GRAVITY * seconds
        mover.position += mover.velocity * seconds
        if mover.position[1] < mover.rest_height:
            mover.position[1] = mover.rest_height
            rebound = -_RESTITUTION * mover.velocity[1]
            mover.velocity[1] = rebound if rebound > 0.4 else 0.0
        for axis in (0, 2):
            limit = half_width - mover.radius
            if abs(mover.position[axis]) > limit and mover.position[axis] * mover.velocity[axis] > 0:
                mover.velocity[axis] *= -1
        orientation[index] = _turn(mover, seconds) @ orientation[index]
    for first in range(len(movers)):
        for second in range(first + 1, len(movers)):
            _collide(movers[first], movers[second])


def _turn(mover, seconds):
    if not mover.rolls:
        return _yaw_matrix(mover.yaw_rate * seconds)
    # A ball rolls about the horizontal axis across its way.
    axis = np.array([mover.velocity[2], 0.0, -mover.velocity[0]]) / mover.radius
    rate = np.linalg.norm(axis)
    return np.eye(3) if rate < 1e-9 else _rotation(axis / rate, rate * seconds)


def _collide(first, second):
    """Equal masses exchange the velocity along the line between them."""
    gap = second.position - first.position
    distance = np.linalg.norm(gap)
    reach = first.radius + second.radius
    if distance >= reach or distance < 1e-9:
        return
    normal = gap / distance
    normal[1] = 0.0
    closing = (first.velocity - second.velocity) @ normal
    if closing > 0:
        first.velocity -= closing * normal
        second.velocity += closing * normal


def _yaw_matrix(angle):
    return _rotation(np.array([0.0, 1.0, 0.0]), angle)


def _rotation(axis, angle):
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
