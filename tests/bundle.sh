#!/bin/bash
# bundle.sh FOLDER [MAKE-VARIABLES...] - everything that a bare machine with an NVIDIA GPU needs, in one folder.
# Builds with nvcc for ARCHS (90 unless said), portable x86-64-v3 code for the host, without oneDNN; copies library,
# programs, test programs, fixtures, scripts and the few shared libraries that such a machine may lack.  cuDNN 9 and
# cuBLAS are found there by FOLDER/run.sh.  Below 60 MB, which is checked.  Runs from the repository root.
set -eu
to=${1:?usage: bundle.sh FOLDER [MAKE-VARIABLES...]}
shift
most=60
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)}
[ -n "$nvcc" ] || { echo "bundle: nvcc is not here: NVIDIA's toolkit builds the kernels; NVCC=/path/to/nvcc names it" >&2; exit 1; }
build=${BUNDLE_BUILD:-build/for-bundle}
tests=$(for t in tests/[1-7]*.c; do echo "$build/tests/$(basename "$t" .c)"; done)
# shellcheck disable=SC2086   # lists of targets
${MAKE:-make} --no-print-directory CUDA=1 NVCC="$nvcc" ARCHS=90 ONEDNN= MARCH=x86-64-v3 BUILD="$build" "$@" all $tests

rm -rf "$to"
mkdir -p "$to/build/bin" "$to/build/tests" "$to/build/lib" "$to/tests" "$to/experiments" "$to/docs"
cp "$build/libguise.so" "$to/build/"
cp "$build"/bin/* "$to/build/bin/"
for t in $tests; do cp "$t" "$to/build/tests/"; done
strip --strip-debug "$to/build/libguise.so" "$to"/build/bin/* "$to"/build/tests/*
cp -r tests/*.c tests/*.sh tests/*.csv tests/fixtures tests/peers "$to/tests/"
cp -r experiments/presets experiments/paper "$to/experiments/"
cp docs/kernels.md docs/ops.md "$to/docs/"
cp LICENSE "$to/"
find "$to" -name __pycache__ -prune -exec rm -rf {} +
git describe --always --dirty >"$to/commit" 2>/dev/null || echo unknown >"$to/commit"

# the libraries that these need, but for the C library's own, the driver's and NVIDIA's
ldd "$to"/build/bin/* "$to"/build/tests/* "$to/build/libguise.so" 2>/dev/null | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\) .*/\1 \2/p' |
    sort -u | while read -r name path; do
    case $name in
    libc.so.*|libm.so.*|libdl.so.*|librt.so.*|libpthread.so.*|ld-linux*|libcuda.so*|libcu*|libnv*|libguise.so) ;;
    *) cp -L "$path" "$to/build/lib/$name" ;;
    esac
done
objdump -p "$to/build/libguise.so" | sed -n 's/^ *NEEDED *\(libcu[^ ]*\)/\1/p' >"$to/build/needs.txt"

cat >"$to/run.sh" <<'END'
#!/bin/bash
# run.sh [info | check | check-cpu | bench [ARGUMENTS] | COMMAND...] - guise on a machine with an NVIDIA GPU; without
# an argument: info, check, bench.  Finds cuBLAS and cuDNN 9 in GUISE_CUDA_LIBS (folders with colons), where the linker
# finds them, in CUDA toolkits, and in the folders of Python packages (those that PyTorch brings).
#   check       the tests on the GPU, then compute-sanitizer if there is one     check-cpu   those without a GPU
#   bench       ceilings, kernels, whole steps, PyTorch beside them; writes docs/kernels.md, prints a table
# Status 77: there is nothing to run on, and a line says what is missing.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
python=${PYTHON:-$(command -v python3 || command -v python || true)}
places() {
    echo "${GUISE_CUDA_LIBS:-}:${LD_LIBRARY_PATH:-}" | tr ':' '\n'
    for d in /usr/local/cuda/lib64 /usr/local/cuda/lib /usr/local/cuda-*/lib64 /usr/local/cuda-*/lib \
        /usr/lib/x86_64-linux-gnu /opt/cuda/lib64; do echo "$d"; done
    [ -z "$python" ] || "$python" -c 'import glob, sys
for p in sys.path:
    for d in sorted(glob.glob((p or ".") + "/nvidia/*/lib")): print(d)' 2>/dev/null
}
first() { for d in $folders; do ls "$d"/$1 >/dev/null 2>&1 && { echo "$d"; break; }; done; }   # folder with such a file
IFS='
'
folders=$(places) found= missing=
while read -r name; do
    at=$(first "$name")
    if [ -n "$at" ]; then case ":$found:" in *":$at:"*) ;; *) found=${found:+$found:}$at ;; esac
    elif ! { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null; } | grep -q "$name"; then missing="$missing $name"
    fi
done <build/needs.txt
if [ -n "$missing" ]; then
    echo "guise: not found:$missing: they come with NVIDIA's toolkit and cuDNN, or with PyTorch for CUDA 13 (pip);" \
        "name their folders in GUISE_CUDA_LIBS" >&2
    exit 77
fi
# cuDNN loads more at run time: the compiler for kernels made on the spot
at=$(first 'libnvrtc.so.*')
found=$found${at:+:$at}
[ -d /usr/local/nvidia/lib64 ] && found=$found:/usr/local/nvidia/lib64
[ -e /proc/self/exe ] || found=$found:$PWD/build:$PWD/build/lib   # without /proc programs do not know where they are
unset IFS
found=${found#:}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
[ -z "$found" ] || export LD_LIBRARY_PATH=${found#:}

check_cpu() {
    failed=0
    for t in tests/[1-7]*.c; do
        t=$(basename "$t" .c)
        line=$("build/tests/$t" 2>&1) || failed=1
        printf '%-28s %s\n' "$t" "$(grep -E '^[0-9]+%: Checks' <<<"$line" || tail -n 3 <<<"$line")"
    done
    return $failed
}
case ${1:-all} in
info)
    text=$(build/bin/op --info) || exit 1
    echo "$text"
    ! grep -q '^  cuda .*not here' <<<"$text" || exit 77
    ;;
check) exec bash tests/check_gpu.sh build build ${2:+"$2"} ;;
check-cpu) CUDA_VISIBLE_DEVICES= check_cpu ;;
bench) shift; exec "$python" tests/peers/bench_gpu.py --build build "$@" ;;
all) build/bin/op --info && bash tests/check_gpu.sh build build; status=$?
    [ $status = 77 ] && exit 77
    "$python" tests/peers/bench_gpu.py --build build && exit $status ;;
*) exec "$@" ;;
esac
END
chmod +x "$to/run.sh"
size=$(du -sm "$to" | cut -f1)
echo "bundle: $to, $size MB, for $(sed -n 's/.*release \([0-9.]*\).*/CUDA \1/p' <("$nvcc" --version)), needs there: $(tr '\n' ' ' <"$to/build/needs.txt")"
[ "$size" -lt $most ] || { echo "bundle: it may have $most MB" >&2; exit 1; }
