"""Nearest neighbours and balls around points, in blocks: never all distances at once.

Squared distances come from |x|^2 + |y|^2 - 2 x.y in float64, about the mean of the points so that
an offset costs no digits.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan.errors import UserError

WORKING_MEMORY = 64.0  # MiB for a block of distances

# The formula above leaves an error of about 1e-15 (|x|^2 + |y|^2), with which a copy of a point on
# the edge of a ball would fall to either side. Nearer to the edge than this share is on it.
EDGE = 1e-12


class Memberships(NamedTuple):
  """What queries and balls share.

  Attributes:
    balls_per_query: [Q], number of balls that hold each query.
    queries_per_ball: [N], number of queries that each ball holds.
  """

  balls_per_query: Int[np.ndarray, " q"]
  queries_per_ball: Int[np.ndarray, " n"]


def kth_distance(points: Float[np.ndarray, "n d"], k: int) -> Float[np.ndarray, " n"]:
  """Distance of each point to its k-th nearest other point, the (k + 1)-th smallest of its row.

  Only the point itself is left out: a duplicate of it is a neighbour at distance 0.

  Args:
    points: [N, D], finite.
    k: 1 for the nearest other point, at most N - 1.

  Returns:
    [N], Euclidean distances.

  Raises:
    UserError: k is not in 1..N - 1.
  """
  from sklearn.neighbors import NearestNeighbors

  if not 1 <= k < len(points):
    raise UserError(f"k is {k}: {len(points)} samples have neighbours 1 to {len(points) - 1}")
  centred = points - points.mean(axis=0)
  search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centred)
  others = search.kneighbors(return_distance=False)[:, -1]  # [N]
  return paired_distance(points, points[others])


def nearest(
  queries: Float[np.ndarray, "q d"], points: Float[np.ndarray, "n d"]
) -> tuple[Float[np.ndarray, " q"], Int[np.ndarray, " q"]]:
  """Distance to the nearest point, min_i |x - y_i|, and which one it is.

  Args:
    queries: [Q, D], finite.
    points: [N, D], finite.

  Returns:
    [Q], Euclidean distances, 0 for copies; [Q], rows of `points`.
  """
  from sklearn.neighbors import NearestNeighbors

  centre = points.mean(axis=0)
  search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points - centre)
  indices = search.kneighbors(queries - centre, return_distance=False)[:, 0]  # [Q]
  return paired_distance(queries, points[indices]), indices


def paired_distance(
  first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
  """Distance of each row to the row of the same number, |x_i - y_i|, exact for equal rows.

  Args:
    first: [N, D].
    second: [N, D].

  Returns:
    [N], Euclidean distances.
  """
  return np.linalg.norm(first - second, axis=1)


def memberships(
  queries: Float[np.ndarray, "q d"],
  points: Float[np.ndarray, "n d"],
  radii: Float[np.ndarray, " n"],
  *,
  closed: bool,
  working_memory: float = WORKING_MEMORY,
) -> Memberships:
  """How many balls hold each query, and how many queries each ball, |x_q - y_i| <= or < r_i.

  Args:
    queries: [Q, D], finite.
    points: [N, D], centres of the balls, finite.
    radii: [N], of the balls.
    closed: whether the edge belongs to a ball, <=, or not, <.
    working_memory: MiB for a block of distances; a block has at least one query.

  Returns:
    Memberships of all queries and balls.
  """
  from sklearn.metrics import pairwise_distances_chunked

  centre = points.mean(axis=0)
  points = points - centre
  edge = EDGE * (np.square(points).sum(axis=1) + np.square(radii))
  limits = np.square(radii) + np.where(closed, edge, -edge)  # [N]
  balls_per_query, queries_per_ball = [], np.zeros(len(points), np.int64)
  for squares in pairwise_distances_chunked(  # [block, N]
    queries - centre, points, squared=True, working_memory=working_memory
  ):
    inside = squares <= limits
    balls_per_query.append(np.count_nonzero(inside, axis=1))
    queries_per_ball += np.count_nonzero(inside, axis=0)
  return Memberships(np.concatenate(balls_per_query), queries_per_ball)
