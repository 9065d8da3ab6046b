"""Maps the top-level folders to import names that shadow nobody else's package."""

from setuptools import find_packages, setup

FOLDERS = {
    "workbench": "workbench",
    "workbench_plugins": "plugins",
    "workbench_datasets": "datasets",
    "workbench_reports": "reports",
}

setup(
    package_dir=FOLDERS,
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in [package, *(f"{package}.{sub}" for sub in find_packages(folder))]
    ],
    package_data={
        "workbench_datasets": ["manifests/*.json"],
        "workbench_reports": ["assets/*", "assets/vendor/*"],
        "workbench_plugins": [
            "weights/*",
            "codecs/icm/recipes/*.yaml",
            "tasks/detection/*.toml",
        ],
    },
)
