"""Seconds of CompressAI's own evaluation commands against ours, on the same pictures.

    python benchmarks/compressai_eval.py --dataset kodak

``bench jpeg`` of ``compressai.utils`` against ``workbench run --codecs jpeg``, both with PSNR and
MS-SSIM; ``eval_model`` against the codec of the same architecture, both with the same untrained
weights and an actual entropy coder. Whole command lines are timed, start and all. Ours hash, keep
every stream, decode from the kept bytes with a fresh instance and write a row a picture.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from common import dataset_argument, tell

from workbench import images, registry
from workbench_plugins.codecs.compressai_zoo.checkpoints import SETTING

QUALITIES = (10, 20, 35, 50, 75, 90)


def seconds(command: Sequence[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def untrained(architecture: str, folder: Path) -> Path:
    """Write a checkpoint of CompressAI's quality 1 with weights as they are initialised."""
    import torch
    from compressai.zoo import image_models

    torch.manual_seed(1)
    network = image_models[architecture](quality=1, pretrained=False)
    network.update()
    path = folder / "compressai" / f"{architecture}-1.pth.tar"
    path.parent.mkdir()
    torch.save(network.state_dict(), path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    dataset_argument(parser)
    parser.add_argument("--limit", type=int, default=24, help="pictures")
    parser.add_argument("--architecture", default="bmshj2018-factorized")
    args = parser.parse_args()
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        pictures = Path(scratch) / "pictures"
        pictures.mkdir()
        dataset = registry.load().dataset(args.dataset, args.data_root)
        items = list(dataset.items())[: args.limit]
        for item in items:
            images.write(pictures / f"{Path(item.name).stem}.png", dataset.load(item))
        checkpoint = untrained(args.architecture, Path(scratch))
        env[SETTING] = scratch
        python = [sys.executable, "-W", "ignore", "-m"]

        def ours(name: str, codecs: str, workers: int) -> float:
            return seconds(
                [*python, "workbench", "run", "--json", "--codecs", codecs, "--tasks",
                 "psnr,ms-ssim", "--dataset", f"folder:{pictures}", "--workers", str(workers),
                 "--out", str(Path(scratch) / name)], env,
            )  # fmt: skip

        jpeg = ",".join(f"jpeg@{quality}" for quality in QUALITIES)
        bench_s = seconds(
            [*python, "compressai.utils.bench", "jpeg", str(pictures), "-q",
             ",".join(map(str, QUALITIES))], env,
        )  # fmt: skip
        jpeg_s = [ours(f"jpeg{workers}", jpeg, workers) for workers in (1, 2)]
        tell("compressai_bench", n_images=len(items), points=len(QUALITIES), theirs_s=bench_s,
             ours_s=jpeg_s[0], ours_2_workers_s=jpeg_s[1], ratio=jpeg_s[0] / bench_s,
             ratio_2_workers=jpeg_s[1] / bench_s, load=os.getloadavg()[0])  # fmt: skip
        out = Path(scratch) / "theirs"
        out.mkdir()
        eval_s = seconds(
            [*python, "compressai.utils.eval_model", "checkpoint", str(pictures), "-a",
             args.architecture, "-d", str(out), "-p", str(checkpoint)], env,
        )  # fmt: skip
        codec = f"compressai:{args.architecture}@quality1"
        model_s = [ours(f"model{workers}", codec, workers) for workers in (1, 2)]
        tell("compressai_eval_model", architecture=args.architecture, n_images=len(items),
             theirs_s=eval_s, ours_s=model_s[0], ours_2_workers_s=model_s[1],
             ratio=model_s[0] / eval_s, ratio_2_workers=model_s[1] / eval_s,
             load=os.getloadavg()[0])  # fmt: skip


if __name__ == "__main__":
    main()
