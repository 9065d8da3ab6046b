#!/bin/sh
# Installs Chromium, which the tests of the report page drive, from the packages of Debian or one
# of its kin. Does nothing where there is one; needs root otherwise, by sudo if it is there.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if ! command -v apt-get >/dev/null; then
    echo "install_chromium: no Chromium here and no apt-get: install Chromium by hand" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install_chromium: needs root: run it as root, or install Chromium by hand" >&2
        exit 1
    fi
    as_root="sudo -n"
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
command -v chromium >/dev/null
