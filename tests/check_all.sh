# check_all.sh - what `make check-all` adds to check.sh, which sources this file.
# shellcheck shell=bash disable=SC2154

part "second compiler"
if command -v clang >/dev/null 2>&1; then
    # OpenMP needs clang's own runtime where gcc's header is not enough
    if printf '#include <omp.h>\n' | clang -fopenmp -E - >/dev/null 2>&1; then
        if build_quietly "build with clang" CUDA= CC=clang CXX=clang++ BUILD="$build/clang" all tests; then
            for t in $(programs); do suite "$t clang" "$build/clang/tests/$t"; done
        fi
    else skip "clang has no OpenMP here (libomp-dev)"; fi
else skip "clang is not here"; fi
done_part

part "portable build: no oneDNN, no AVX-512"
if build_quietly "portable build" CUDA= ONEDNN= MARCH=x86-64 BUILD="$build/portable" all tests; then
    for t in $(programs); do suite "$t portable" "$build/portable/tests/$t"; done
fi
done_part

# What runs no other program and ends within minutes under qemu.  Portraits are compared with a picture that was drawn on
# x86-64, random numbers with published ones.
part "AArch64: the portable build under qemu"
cross=aarch64-linux-gnu-gcc under=$(command -v qemu-aarch64-static || command -v qemu-aarch64)
aarch64_programs() { programs | grep -vE '^(402_|405_|410_|501_|515_|520_|7)'; }
if ! command -v "$cross" >/dev/null 2>&1 || [ -z "$under" ] || ! printf '%s\n' '#include <stdio.h>' '#include <stdlib.h>' \
    '#include <png.h>' '#include <jpeglib.h>' '#include <ini.h>' '#include <check.h>' 'int main(void) { return 0; }' |
    "$cross" -fopenmp -x c - -o "$log/aarch64" -lpng -ljpeg -lz -linih -lcheck -lsubunit -lm >"$log/step" 2>&1 ||
    ! "$under" "$log/aarch64" >>"$log/step" 2>&1; then
    skip "AArch64: needs gcc-aarch64-linux-gnu, qemu-user-static and, of architecture arm64, libgomp1 libpng-dev libjpeg-dev libinih-dev check"
else
    # shellcheck disable=SC2046   # a list of targets
    if build_quietly "build for AArch64" CC="$cross" CUDA= ONEDNN= MARCH=armv8-a BUILD="$build/aarch64" all \
        $(aarch64_programs | sed "s|^|$build/aarch64/tests/|"); then
        for t in $(aarch64_programs); do patience=3000 suite "$t AArch64" "$build/aarch64/tests/$t"; done
        skip "AArch64: GPU tests, whole steps at full size and the programs (tests 402 405 410 501 515 520 7xx)"
    fi
fi
unset under
done_part

part "valgrind"
if command -v valgrind >/dev/null 2>&1; then
    for t in 100_program 110_safetensors 610_faces 701_run; do
        [ -x "$build/portable/tests/$t" ] || continue
        step "$t under valgrind" env CK_FORK=no valgrind -q --error-exitcode=9 --exit-on-first-error=yes \
            "$build/portable/tests/$t"
    done
else skip "valgrind is not here"; fi
done_part

part "emulator, thread sanitizer and full self-test"
if build_quietly "emulated CUDA with the thread sanitizer" CUDA= ONEDNN= BUILD="$build/tsan" SAN=thread OPENMP= EMU=tsan tests; then
    while read -r t c; do
        suite "$t $c, races in blocks" "$build/tsan/tests/$t" LD_LIBRARY_PATH="$build/tsan/emu-tsan" CK_RUN_CASE="$c" \
            TSAN_OPTIONS=halt_on_error=1
    done <<<"$emulated_steps"
    suite "200_op_cases, races between blocks" "$build/tsan/tests/200_op_cases" CE_BLOCKRACES=1 \
        LD_LIBRARY_PATH="$build/tsan/emu-tsan" CK_RUN_CASE=cuda TSAN_OPTIONS=halt_on_error=1
fi
# whole steps at the sizes of the preset quick: minutes
step "the preset quick's steps on emulated CUDA" env LD_LIBRARY_PATH="$build/emu" FAKECUDA=lazy GUISE_ROOFLINE=32 \
    "$build/bin/bench" --device cuda --only quick --preset quick --repeat 1 --queue 1
if [ -n "$nvcc" ]; then
    step "registers of the kernels, and what spills" env NVCC="$nvcc" GEN="$build/gen" bash tests/registers.sh \
        "$build/registers.txt"
    if grep -q SPILLS "$build/registers.txt"; then grep SPILLS "$build/registers.txt"; else good "no kernel spills"; fi
fi
step "planted mistakes, every build and schedule" bash tests/cudaemu/selftest.sh "$build/cudaemu" full
done_part

part "fuzzing, a minute each"
if command -v clang >/dev/null 2>&1; then
    mkdir -p "$build/fuzz"
    for f in data/*.c engine/error.c engine/file.c engine/json.c engine/safetensors.c; do
        clang -std=c11 -D_GNU_SOURCE -I. -I"$build/gen" -g -O1 -fsanitize=fuzzer-no-link,address,undefined -c "$f" \
            -o "$build/fuzz/$(basename "$f" .c).o"
    done >"$log/step" 2>&1
    for f in tests/fuzz/fuzz_*.c; do
        kind=$(basename "$f" .c) kind=${kind#fuzz_}
        if clang -std=c11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined "$f" "$build"/fuzz/*.o \
            -lpng -ljpeg -lz -lm -o "$build/fuzz_$kind" >>"$log/step" 2>&1; then
            mkdir -p "$build/corpus_$kind"
            step "fuzz_$kind" "$build/fuzz_$kind" -max_total_time=60 "$build/corpus_$kind" "tests/fuzz/corpus/$kind"
        else skip "fuzz_$kind: no libFuzzer here"; fi
    done
else skip "clang is not here"; fi
done_part

part "kills"
step "a run killed thirty times ends with the same tables" env SEED=2 bash tests/kills.sh "$build/bin" 30
done_part
