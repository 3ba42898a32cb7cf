#!/bin/bash
# gpu_scripts.sh BUILD - do `make check-gpu` and `make bench-gpu` work?  On the emulated device, at tiny sizes, since they
# run where nobody watches: what they find, what they write, and what they say where there is nothing to run on.
# Runs from the repository root.  Status 0 when all is well.
set -u
build=${1:?usage: gpu_scripts.sh BUILD}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
expect() {   # expect NAME STATUS WORDS COMMAND...: ends so, and says so
    local name=$1 status=$2 words=$3
    shift 3
    "$@" >"$work/out" 2>&1
    local got=$?
    if [ $got = "$status" ] && grep -qF -- "$words" "$work/out"; then echo "ok    $name"; return; fi
    echo "FAIL  $name: status $got, not $status, or no \"$words\" in:"
    sed 's/^/      | /' "$work/out"
    failed=1
}

# a compute-sanitizer that notes its tool and runs the rest
cat >"$work/sanitizer" <<END
#!/bin/sh
echo "\$2" >>"$work/tools"
while [ \$# -gt 0 ] && [ "\${1#--}" != "\$1" ]; do shift 2; done
exec "\$@"
END
chmod +x "$work/sanitizer"
export GUISE_OP=tanh GUISE_ROOFLINE=32
expect "check-gpu passes on a device" 0 " 0 failed, 0 skipped" \
    env COMPUTE_SANITIZER="$work/sanitizer" bash tests/check_gpu.sh "$build" "$build/emu" quick
expect "check-gpu asks compute-sanitizer for three things" 0 "memcheck racecheck initcheck" xargs -a "$work/tools"
expect "check-gpu says what it skipped" 0 "skip  compute-sanitizer is not here" \
    env PATH=/usr/bin:/bin bash tests/check_gpu.sh "$build" "$build/emu" quick
expect "check-gpu without a driver" 77 "no NVIDIA driver is installed" \
    env FAKECUDA_DRIVER=0 bash tests/check_gpu.sh "$build" "$build/emu" quick
expect "check-gpu without CUDA" 77 "was built without CUDA" bash tests/check_gpu.sh "$build" "$build" quick
printf '#!/bin/sh\nexit 3\n' >"$work/sanitizer"
expect "check-gpu fails when compute-sanitizer does" 1 " 3 failed" \
    env COMPUTE_SANITIZER="$work/sanitizer" bash tests/check_gpu.sh "$build" "$build/emu" quick

if python=$(command -v python3); then
    bench() { LD_LIBRARY_PATH=$build/emu "$python" tests/peers/bench_gpu.py --build "$build" --tiny --docs "$work/page.md" "$@"; }
    printf 'above\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nbelow\n' >"$work/page.md"
    expect "bench-gpu prints its table" 0 "smoke.recognition    fp32 launches" bench
    expect "bench-gpu writes between the marks" 0 "| tanh_grad |" cat "$work/page.md"
    expect "bench-gpu leaves the rest" 0 "above below 0" sh -c 'echo $(head -n 1 "$0") $(tail -n 1 "$0") $(grep -c "^old$" "$0")' "$work/page.md"
    expect "bench-gpu without a GPU" 77 "nothing was measured: cuda: no usable GPU" env FAKECUDA_DEVICES=0 bash -c \
        "LD_LIBRARY_PATH=$build/emu $python tests/peers/bench_gpu.py --build $build --tiny --docs ''"
    expect "docs/kernels.md has its marks" 0 "1 1" sh -c 'echo $(grep -c "^<!-- measured: begin -->" docs/kernels.md) $(grep -c "^<!-- measured: end -->" docs/kernels.md)'
else
    echo "skip  python3 is not here: bench-gpu was not tried"
fi
exit $failed
