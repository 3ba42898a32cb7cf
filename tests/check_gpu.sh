#!/bin/bash
# check_gpu.sh BUILD LIBRARY [quick] - the tests of `make check` that go over devices, on the GPU of this machine.
#   BUILD     folder with the programs and test programs (bin/, tests/), built in any way
#   LIBRARY   folder with the libguise.so that was built with CUDA; the emulated one serves to test this script
#   quick     each op's cases only
# First every such program as it is, then plans without graphs and buffers without reuse, then NVIDIA's
# compute-sanitizer (memcheck, racecheck, initcheck) on the ops' cases and on whole steps, where it exists.
# COMPUTE_SANITIZER names it if it is not on the PATH or in the toolkit; ONLY="201_op_formats ..." takes these programs.
# Runs from the repository root, or the root of a bundle.  Status 0 all passed, 1 some failed, 77 there is nothing to
# test on: no GPU, no driver, no library with CUDA.
set -u
build=${1:?usage: check_gpu.sh BUILD LIBRARY [quick]}
library=$(cd "${2:?usage: check_gpu.sh BUILD LIBRARY [quick]}" && pwd) || exit 2
quick=${3:-}
log=$build/check-gpu
mkdir -p "$log"
. tests/report.sh
export LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

if [ ! -f "$library/libguise.so" ]; then
    echo "check-gpu: $library holds no libguise.so: nothing was tested"
    exit 77
fi
"$build/bin/op" --info >"$log/info" 2>&1 || { cat "$log/info"; exit 1; }
grep -E '^guise|^  cuda ' "$log/info"
if ! grep -q '^  cuda ' "$log/info"; then
    echo "check-gpu: $library/libguise.so was built without CUDA: nothing was tested; make CUDA=1 NVCC=/path/to/nvcc"
    exit 77
fi
if grep -q '^  cuda .*not here' "$log/info"; then
    echo "check-gpu: nothing was tested: there is no GPU that guise can use (the line above says why)"
    exit 77
fi
command -v nvidia-smi >/dev/null 2>&1 &&
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader

# on_gpu NAME PROGRAM [VARIABLE=VALUE...]: as suite, and a test that does not find the GPU is a failure here
on_gpu() {
    suite "$@"
    local missed
    missed=$(grep -cE '^(SKIP|without) .*cuda: ' "$log/${1//[ \/]/_}")
    [ "$missed" = 0 ] || bad "$1: $missed tests did not find the GPU"
}

part "tests on the device"
if [ -n "$quick" ]; then list=${ONLY:-200_op_cases}; else list=${ONLY:-$(device_programs)}; fi
for t in $list; do on_gpu "$t" "$build/tests/$t"; done
done_part

part "without graphs, without reuse of buffers, with poison"
for t in 200_op_cases 410_whole_steps 500_networks 510_steps; do
    case " ${ONLY:-$([ -n "$quick" ] && echo 200_op_cases || echo "$t")} " in *" $t "*) ;; *) continue ;; esac
    for v in ENGINE_NOGRAPH=1 ENGINE_NOPLAN=1 ENGINE_POISON=1; do on_gpu "$t $v" "$build/tests/$t" $v; done
done
done_part

part "compute-sanitizer"
sanitizer=${COMPUTE_SANITIZER:-$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)}
if [ -z "$sanitizer" ]; then
    skip "compute-sanitizer is not here (it comes with NVIDIA's toolkit): memory, races and initialisation on the device"
else
    # sanitized TOOL PROGRAM TEST: one process, so that every kernel is seen
    sanitized() {
        step "$1: $2, $3" env CK_FORK=no CK_RUN_CASE="$3" CUDA_MODULE_LOADING=EAGER "$sanitizer" --tool "$1" \
            --error-exitcode 9 --print-limit 20 "$build/tests/$2"
    }
    for tool in memcheck racecheck initcheck; do
        sanitized $tool 200_op_cases cuda
        [ -n "$quick" ] && continue
        sanitized $tool 201_op_formats channels_last_on_cuda
        sanitized $tool 410_whole_steps synthesis_on_cuda
        sanitized $tool 410_whole_steps recognition_on_cuda
    done
fi
done_part
counts
