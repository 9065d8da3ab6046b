"""Where training runs: Lightning Fabric over one device or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def make_fabric(device: str = "auto", devices: int = 1, tensorboard: Path | None = None) -> Fabric:
    """Lightning's device, strategy and logger; `device` is cpu, cuda, or auto.

    Raises:
        WorkbenchError: Lightning or TensorBoard is not installed, or there is no such device.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.loggers import TensorBoardLogger
    except ImportError:
        raise WorkbenchError(
            "training needs lightning: pip install 'codec-workbench[train]'"
        ) from None
    loggers = []
    if tensorboard:
        try:
            loggers = [TensorBoardLogger(tensorboard, name="tensorboard", version="")]
        except ModuleNotFoundError as error:
            raise WorkbenchError(f"--tensorboard: {error}: pip install tensorboard") from None
    # The quantiles of z are trained beside the loss, so no gradient of it reaches them.
    strategy = "auto" if devices == 1 else "ddp_find_unused_parameters_true"
    try:
        fabric = Fabric(accelerator=device, devices=devices, strategy=strategy, loggers=loggers)
    except (RuntimeError, ValueError) as error:
        raise WorkbenchError(f"device {device!r}: {error}") from None
    fabric.launch()
    return fabric
