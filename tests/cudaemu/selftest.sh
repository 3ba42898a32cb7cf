#!/bin/bash
# selftest.sh BUILDDIR [quick|full] - does the emulator find the mistakes that selftest.h plants?
#
# Builds the self-test in the three builds, runs it without a mistake in all of them, then with each mistake, which at
# least one build must notice: by a wrong result, a refused call, a sanitizer's report, or the emulator's own.
#     quick   one line a mistake, up to the first build that notices it
#     full    every mistake in every build, schedule and mode; also ucontext, clang and NVIDIA's headers where present
# From the repository root.  Ends with "N passed, N failed"; status 0 when nothing failed.
set -u
build=${1:?usage: selftest.sh BUILDDIR [quick|full]}
mode=${2:-quick}
make=${MAKE:-make}
here=tests/cudaemu
passed=0 failed=0
log=$build/log

pass() { passed=$((passed + 1)); printf 'ok    %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'FAIL  %s\n' "$1"; [ -s "$log" ] && sed 's/^/      | /' "$log" | head -30; }

# What a run says of a mistake, in one line.
reason() {
    local words='runtime error|ERROR: [A-Za-z]+Sanitizer|WARNING: ThreadSanitizer|^(cudaemu|fakecuda|wrong):|^line '
    grep -m1 -aE "$words" "$log" | cut -c1-400 |
        sed -E -e 's/==[0-9]+==//; s/ \(pid=.*//; s/ on (unknown )?address .*//; s/^.*runtime error: /UBSan: /' \
            -e 's/0x[0-9a-f]+/p/g; s/(.{90}).*/\1/'
}

# try VARIANT "ENVIRONMENT" ARGUMENT: runs the program, status as its own.
try() {
    (env -u CE_SCHED -u CE_SEED -u CE_BLOCKRACES -u FAKECUDA -u FAKECUDA_SEED -u FAKECUDA_DEVICES -u FAKECUDA_CC \
        FAKECUDA_STRICT=1 OMP_NUM_THREADS=2 UBSAN_OPTIONS=print_stacktrace=0 TSAN_OPTIONS=halt_on_error=1 $2 \
        timeout 120 "$build/$1/selftest" "$3" >"$log" 2>&1
    exit $?) 2>/dev/null   # not this shell's word of the signal that ended it
}

# The runs that look for mistakes, cheapest first: KIND VARIANT ENVIRONMENT
runs() {
    case $1 in
    kernel) cat <<END
plain CE_SCHED=asc
plain CE_SCHED=desc
plain CE_SCHED=rand
asan CE_SCHED=asc
tsan CE_SCHED=asc
tsan CE_BLOCKRACES=1
END
        ;;
    host) cat <<END
plain FAKECUDA=eager
plain FAKECUDA=lazy
plain FAKECUDA=rand
asan FAKECUDA=eager
asan FAKECUDA=lazy
END
        ;;
    esac
}

mkdir -p "$build" && : >"$log"
if ! $make -f $here/selftest.mk -s -j2 BUILD="$build" >"$log" 2>&1; then
    fail "build"
    echo "$passed passed, $failed failed"
    exit 1
fi

# ---- no mistake: nothing may be noticed
clean() {
    if try "$1" "$2" 0; then pass "no mistake: $1 $2"; else fail "no mistake: $1 $2"; fi
}
for schedule in asc desc rand; do
    clean plain "CE_SCHED=$schedule FAKECUDA=lazy"
done
clean plain "FAKECUDA=eager"
clean plain "FAKECUDA=rand"
clean asan "FAKECUDA=lazy"
clean tsan "FAKECUDA=eager"
clean tsan "CE_BLOCKRACES=1"
if [ "$mode" = full ]; then
    for seed in 1 2 3 4 5 6 7 8; do
        clean plain "CE_SCHED=rand CE_SEED=$seed FAKECUDA=rand FAKECUDA_SEED=$seed"
    done
    clean asan "CE_SCHED=rand FAKECUDA=rand"
    clean asan "CE_SCHED=desc FAKECUDA=eager"
    clean asan "ASAN_OPTIONS=detect_stack_use_after_return=1"
    clean tsan "CE_SCHED=rand"
    clean tsan "CE_SCHED=rand CE_BLOCKRACES=1"
fi
if try plain FAKECUDA_DEVICES=0 1 || ! grep -q cudaErrorNoDevice "$log"; then
    fail "a machine without a device says so"
else
    pass "a machine without a device says so"
fi

# ---- each mistake: somebody must notice
while IFS='|' read -r number kind where text; do
    by=
    while read -r variant environment; do
        [ -n "$by" ] && [ "$mode" = quick ] && break
        try "$variant" "$environment" "$number"
        status=$?
        if [ $status -ne 0 ] && [ $status -ne 124 ]; then
            why=$(reason)
            by="$by; $variant ${environment#*=}: ${why:-status $status}"
            [ "$environment" = CE_BLOCKRACES=1 ] && by=${by/tsan 1:/tsan blockraces:}
        elif [ "$mode" = full ]; then
            by="$by; $variant ${environment#*=}: -"
        fi
    done < <(runs "$kind")
    noticed=$(printf '%s' "$by" | tr ';' '\n' | grep -cv -e ': -$' -e '^$')
    if [ "$noticed" -gt 0 ]; then
        if [ "$mode" = quick ]; then
            pass "$number $text:${by#;}"
        else
            pass "$number $text: noticed by $noticed runs"
            printf '%s' "$by" | tr ';' '\n' | sed -n 's/^ /          /p'
            echo
        fi
    else
        : >"$log"
        fail "$number $text: noticed by nobody"
    fi
done < <("$build/plain/selftest" list)

# ---- headers and other compilers
compiles() {
    if "${@:2}" >"$log" 2>&1; then pass "$1"; else fail "$1"; fi
}
compiles "our declarations keep what selftest_headers.cpp says" \
    ${EMU_CXX:-g++} -std=c++20 -fsyntax-only -I$here/include $here/selftest_headers.cpp
compiles "our headers are C11" \
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -I$here/include -x c $here/fakecuda.h
cuda=${CUDA_HOME:-/usr/local/cuda}/include
if [ -f "$cuda/cuda_runtime_api.h" ]; then
    compiles "our declarations agree with NVIDIA's: prototypes" \
        ${EMU_CXX:-g++} -std=c++20 -fsyntax-only -isystem "$cuda" -I$here $here/fakecuda_api.cpp
    compiles "our declarations agree with NVIDIA's: numbers" \
        ${EMU_CXX:-g++} -std=c++20 -fsyntax-only -isystem "$cuda" $here/selftest_headers.cpp
else
    echo "skip  no CUDA toolkit: our declarations are not compared with NVIDIA's"
fi
if [ "$mode" = full ]; then
    if command -v nvcc >/dev/null; then
        compiles "nvcc compiles the kernels of the self-test" \
            nvcc -std=c++20 -arch=sm_90 -Werror all-warnings -I. -c $here/selftest.cu -o "$build/selftest_nvcc.o"
    fi
    other() {
        if $make -f $here/selftest.mk -s -j2 BUILD="$build/$1" "$build/$1/plain/selftest" "${@:2}" >"$log" 2>&1 &&
            try "$1/plain" FAKECUDA=lazy 0; then
            pass "no mistake: $1"
        else
            fail "no mistake: $1"
        fi
    }
    other ucontext EMU_EXTRA=-DEMU_UCONTEXT
    command -v clang++ >/dev/null &&
        other clang EMU_CXX=clang++ EMU_LDFLAGS_plain= EMU_EXTRA="-fno-openmp -Werror"
    "$build/plain/selftest" time
fi

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
