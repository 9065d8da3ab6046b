"""Scenes for training: rendered without pause by other processes, drawn at random from a buffer."""

from __future__ import annotations

import multiprocessing
import queue
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATIENCE_S = 300


@dataclass(frozen=True)
class Sample:
    """What training needs of one scene; instances count from 1 as the boxes do, 0 is no thing."""

    index: int
    image: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def make_sample(split: str, index: int) -> Sample:
    """Renders one scene of a split; remnants are no instances."""
    from workbench_datasets.toytown.classes import BY_NAME
    from workbench_datasets.toytown.scene import render

    scene = render(split, index)
    instances = np.where(scene.instances > len(scene.objects), 0, scene.instances)
    return Sample(
        index,
        scene.image,
        scene.semantic,
        instances.astype(np.uint8),
        np.array([o.bbox for o in scene.objects], np.float32).reshape(-1, 4),
        np.array([BY_NAME[o.category].train_id for o in scene.objects], np.int64),
    )


def render_forever(first: int, step: int, samples: Any) -> None:
    """Puts scenes first, first + step, ... of `train` into a queue, while the trainer lives."""
    index, trainer = first, multiprocessing.parent_process()
    while trainer is not None:
        ready = make_sample("train", index)
        while trainer.is_alive():
            try:
                samples.put(ready, timeout=5)
                break
            except queue.Full:
                continue
        else:
            # Nobody reads the queue any more: do not wait for it to be written out.
            samples.cancel_join_thread()
            return
        index += step


class SceneBuffer:
    """The last `capacity` scenes of the training stream, from scene `first` on.

    New scenes are taken up as fast as they are rendered, but only as long as each is drawn
    `reuse` times on average: the queue then fills up and the renderers wait, which leaves the
    processor to training.
    """

    def __init__(
        self, first: int, workers: int, capacity: int, warm: int, reuse: float, seed: int
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(maxsize=16)
        self._workers = [
            context.Process(
                target=render_forever, args=(first + k, workers, self._queue), daemon=True
            )
            for k in range(workers)
        ]
        for worker in self._workers:
            worker.start()
        self._capacity, self._warm, self._reuse = capacity, warm, reuse
        self._kept: list[Sample] = []
        self._chooser = random.Random(seed)
        self._taken = self._drawn = 0
        self.rendered = first

    def draw(self, count: int) -> list[Sample]:
        """Returns `count` different scenes.

        Raises:
            RuntimeError: the renderers have died.
        """
        while self._taken < self._warm or self._taken * self._reuse < self._drawn:
            try:
                # Only the first scenes are waited for.
                sample = self._queue.get(self._taken < self._warm, PATIENCE_S)
            except queue.Empty:
                if self._taken < self._warm:
                    raise RuntimeError("toytown: no scene was rendered in five minutes") from None
                break
            self._taken += 1
            self.rendered = max(self.rendered, sample.index + 1)
            if len(self._kept) < self._capacity:
                self._kept.append(sample)
            else:
                self._kept[self._chooser.randrange(self._capacity)] = sample
        self._drawn += count
        return self._chooser.sample(self._kept, count)

    def close(self) -> None:
        """Ends the renderers."""
        for worker in self._workers:
            worker.terminate()
