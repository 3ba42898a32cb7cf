#!/bin/sh
# setup.sh - finds what is missing to build and test guise on Debian, and installs it when it may.
# As root or with passwordless sudo: prints the list, installs it.  Otherwise: prints the one line to run, exit 1.
# oneDNN makes convolutions fast; where the distribution lacks it, guise builds and passes its tests without.
set -e

missing=
need() {   # need PACKAGE COMMAND: the command shows that the package is there
    if ! sh -c "$2" >/dev/null 2>&1; then missing="$missing $1"; fi
}
header() {
    need "$2" "printf '#include <stdio.h>\n#include <$1>\n' | ${CC:-gcc} -E -"
}

if ! command -v "${CC:-gcc}" >/dev/null 2>&1; then
    missing="gcc g++ libc6-dev libpng-dev zlib1g-dev libjpeg-dev libinih-dev libdnnl-dev check"
else
    need g++ "command -v ${CXX:-g++}"
    need libc6-dev "printf '#include <stdio.h>\n' | ${CC:-gcc} -E -"
    header png.h libpng-dev
    header zlib.h zlib1g-dev
    header jpeglib.h libjpeg-dev
    header ini.h libinih-dev
    header check.h check
    header dnnl.h libdnnl-dev
fi
[ -n "$missing" ] || exit 0

# shellcheck disable=SC2086   # a list of package names
set -- $missing
if ! command -v apt-get >/dev/null 2>&1; then
    echo "guise: missing: $*; install them (these are Debian's names) and run make again" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "guise: missing packages; run this line and then make again:" >&2
    echo "    sudo apt-get install -y $*" >&2
    exit 1
fi
echo "guise: installing $*"
$sudo apt-get update -qq || echo "guise: package lists could not be refreshed; trying with the present ones" >&2
if ! DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
    # oneDNN is not in every release: everything else must work without it
    rest=$(for p in "$@"; do [ "$p" = libdnnl-dev ] || echo "$p"; done)
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $rest >/dev/null
    echo "guise: libdnnl-dev could not be had: convolutions will use guise's own, slower kernels" >&2
fi
