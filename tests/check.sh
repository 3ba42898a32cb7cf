#!/bin/bash
# check.sh BUILD [all] - builds everything, runs every test, prints each part's time, ends with one line of counts.
#   parts of `make check`:      build, tests, emulated CUDA, the emulator's self-test, sanitizers, nvcc where it is
#   `make check-all` adds:      the second compiler, AArch64, valgrind, long sanitizer and emulator builds,
#                               fuzzing, kills
# Runs from the repository root; needs no GPU, no data, no network.
set -u
build=${1:?usage: check.sh BUILD [all]}
all=${2:-}
log=$build/check
mkdir -p "$log"
export GOMP_SPINCOUNT=20000   # threads that wait long sleep: on shared cores spinning costs more than it saves
. tests/report.sh

# build_quietly NAME MAKE-ARGUMENTS...: must succeed without a warning
build_quietly() {
    local name=$1
    shift
    if ! ${MAKE:-make} --no-print-directory -j2 "$@" >"$log/build" 2>&1; then bad "$name" "$log/build"; return 1
    elif grep -qE 'warning:|warning #' "$log/build"; then bad "$name: warnings" "$log/build"; return 1
    else good "$name"; fi
}

# ops' cases and whole steps on cuda: PROGRAM TEST
emulated_steps="200_op_cases cuda
410_whole_steps synthesis_on_cuda
410_whole_steps recognition_on_cuda
510_steps cuda"

part "build"
build_quietly "library, programs and tests" CUDA= BUILD="$build" all tests || { echo "0 passed, 1 failed"; exit 1; }
done_part

part "tests"
for t in $(programs); do suite "$t" "$build/tests/$t"; done
done_part

part "plans without reuse, with poison, without fusion"
for t in 200_op_cases 500_networks 510_steps; do
    [ -x "$build/tests/$t" ] || continue
    for v in ENGINE_NOPLAN=1 ENGINE_POISON=1 ENGINE_NOFUSE=1; do suite "$t $v" "$build/tests/$t" $v; done
done
done_part

part "CUDA, emulated"
for t in $(device_programs | grep -v 501_full_size); do
    suite "$t on emulated CUDA" "$build/tests/$t" LD_LIBRARY_PATH="$build/emu" FAKECUDA=lazy
done
# threads of a block in three orders, work of streams in two; above it was ascending and lazy
for s in CE_SCHED=desc CE_SCHED=rand; do
    while read -r t c; do
        suite "$t $c $s" "$build/tests/$t" LD_LIBRARY_PATH="$build/emu" FAKECUDA=rand $s CK_RUN_CASE="$c"
    done <<<"$emulated_steps"
done
step "docs/tutorial: each step is right and moves the bytes that it says" ${MAKE:-make} --no-print-directory CUDA= BUILD="$build" tutorial
step "check-gpu and bench-gpu on the emulated device" bash tests/gpu_scripts.sh "$build"
bash tests/cudaemu/selftest.sh "$build/cudaemu" quick >"$log/selftest" 2>&1
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log/selftest" | tail -n 1)
if [[ $line =~ ^([0-9]+)\ passed,\ 0\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1])); printf 'ok    %-40s %s\n' "planted mistakes are found" "$line"
else bad "planted mistakes are found: $line" "$log/selftest"; fi
done_part

part "kills"
step "a run killed four times ends with the same tables" bash tests/kills.sh "$build/bin" 4
done_part

part "sanitizers (address, undefined)"
if build_quietly "build with sanitizers" CUDA= BUILD="$build/asan" SAN=address,undefined EMU=asan tests; then
    export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1
    for t in $(programs); do suite "$t sanitized" "$build/asan/tests/$t" GUISE_PROGRAMS=40; done
    while read -r t c; do
        [ "$t" = 410_whole_steps ] && [ -z "$all" ] && continue   # minutes; 510 takes four training steps
        suite "$t $c, emulated, sanitized" "$build/asan/tests/$t" LD_LIBRARY_PATH="$build/asan/emu-asan" FAKECUDA=lazy \
            CK_RUN_CASE="$c"
    done <<<"$emulated_steps"
    suite "402_gpu, emulated, sanitized" "$build/asan/tests/402_gpu" LD_LIBRARY_PATH="$build/asan/emu-asan"
    for f in tests/fuzz/fuzz_*.c; do
        name=$(basename "$f" .c) kind=${name#fuzz_}
        [ -d "tests/fuzz/corpus/$kind" ] || { skip "$name: no corpus"; continue; }
        if ${CC:-gcc} -std=c11 -D_GNU_SOURCE -I. -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -fopenmp tests/fuzz/replay.c "$f" "$build/asan/libface.a" -L"$build/asan" -lguise -lpng -ljpeg -lz -linih \
            -lm -Wl,-rpath,"$PWD/$build/asan" -o "$build/asan/replay_$kind" >"$log/step" 2>&1; then
            step "replay of the corpus $kind" "$build/asan/replay_$kind" "tests/fuzz/corpus/$kind"
        else bad "$name" "$log/step"; fi
    done
fi
done_part

part "CUDA, compiled"
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)}
# in_bundle COMMAND...: run.sh of the bundle, from elsewhere and with an empty environment
in_bundle() { (cd / && env -i PATH=/usr/bin:/bin GUISE_CUDA_LIBS="$(dirname "$nvcc")/../lib64" "$bundle/run.sh" "$@"); }
if [ -n "$nvcc" ]; then
    bundle=$(cd "$build" && pwd)/bundle
    if build_quietly "library and programs with nvcc ($("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p'), sm_75 and sm_90)" \
        CUDA=1 NVCC="$nvcc" ARCHS="75 90" ONEDNN= MARCH=x86-64-v3 BUILD="$build/cuda" all; then
        step "bundle for a machine with a GPU" env NVCC="$nvcc" BUNDLE_BUILD="$build/cuda" bash tests/bundle.sh "$bundle" \
            ARCHS="75 90"
        for t in docs/tutorial/[1-5]_*.cu; do targets="${targets:-} $build/cuda/tutorial/$(basename "$t" .cu)"; done
        # shellcheck disable=SC2086   # a list of targets
        step "docs/tutorial with nvcc" ${MAKE:-make} --no-print-directory CUDA=1 NVCC="$nvcc" ONEDNN= MARCH=x86-64-v3 \
            ARCHS="75 90" BUILD="$build/cuda" $targets
        in_bundle info >"$log/step" 2>&1
        told=$?
        if grep -q '^  cuda .*not here' "$log/step"; then
            if [ $told = 77 ] && grep -q 'not here: cuda: no usable GPU: .*, or run with --device cpu' "$log/step"; then
                good "without a GPU the CUDA build says what is missing"
            else bad "without a GPU the CUDA build says what is missing" "$log/step"; fi
            in_bundle build/bin/op tanh --bench --shapes 16 --backend cuda >"$log/step" 2>&1
            if [ $? = 1 ] && grep -q 'op: cuda: no usable GPU: ' "$log/step"; then good "so does --backend cuda"
            else bad "--backend cuda without a GPU" "$log/step"; fi
            in_bundle check >"$log/step" 2>&1
            if [ $? = 77 ]; then good "the bundle, elsewhere: nothing to test on"; else bad "the bundle's check" "$log/step"; fi
            step "a CPU test of the bundle, elsewhere" in_bundle build/tests/220_basic_ops
            step "cuDNN describes convolutions as we mean them, without a GPU" in_bundle build/tests/222_vendor
            skip "no GPU: every kernel was compiled for sm_75 and sm_90 and run in the emulator; cuDNN and cuBLAS were linked, never called; make check-gpu and make bench-gpu wait for a GPU"
        else skip "a GPU is here: make check-gpu runs the tests on it, make bench-gpu times it"; fi
    fi
else
    skip "nvcc is not here: CUDA sources were emulated, not compiled for a GPU"
fi
done_part

if [ -n "$all" ]; then . tests/check_all.sh; fi

counts
