#!/bin/bash
# registers.sh FILE - registers, shared memory and spills of every kernel, as ptxas says them, for sm_75 and sm_90.
# The kernels that spill come first, then those with the most registers: blocks of 256 threads fill an SM of 65,536
# registers up to 32 a thread (sm_90: 8 blocks, 2,048 threads), 64 leave half of the threads, 128 a quarter.
# NVCC names the compiler; status 77 where there is none.  Runs from the repository root, after `make` made build/gen.
set -u
file=${1:?usage: registers.sh FILE}
nvcc=${NVCC:-$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)}
[ -n "$nvcc" ] || { echo "registers: nvcc is not here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gen=${GEN:-build/gen}
compile() {
    "$nvcc" -std=c++20 -O3 -I. -I"$gen" -D_GNU_SOURCE -Xptxas -v -gencode arch=compute_75,code=sm_75 \
        -gencode arch=compute_90,code=sm_90 -c "$1" -o /dev/null 2>"$work/$(basename "$1" .cu).txt" ||
        { cat "$work/$(basename "$1" .cu).txt"; exit 1; }
}
export -f compile
export nvcc gen work
printf '%s\n' kernels/cuda/*.cu | xargs -P 2 -I{} bash -c 'compile {}' || exit 1

# "Compiling entry function 'NAME' for 'sm_90'", "N bytes stack frame, N bytes spill stores, N bytes spill loads",
# "Used N registers, ..., N bytes smem"
for t in "$work"/*.txt; do
    awk -v file="$(basename "$t" .txt)" '
        /Compiling entry function/ { split($0, q, "\047"); name = q[2]; arch = q[4]; stack = spill = 0 }
        /bytes stack frame/ { stack = $1; spill = 0; for (i = 1; i < NF; i++) if ($i == "bytes" && $(i + 1) == "spill") spill += $(i - 1) }
        /Used [0-9]+ registers/ {
            registers = shared = 0
            for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^registers/) registers = $i; if ($(i + 2) ~ /^smem/) shared = $i }
            print spill, registers, stack, shared, arch, file, name }' "$t"
done | c++filt | sed -E 's/\(anonymous namespace\)::|_GLOBAL__N__[^:]*:://g; s/^(([^ ]+ ){6})(void )?([^(]*)\(.*/\1\4/' |
    sort -k1,1nr -k2,2nr -k7 >"$work/all"
spilling=$(awk '$1 > 0' "$work/all" | wc -l)
{
    echo "$(wc -l <"$work/all") kernels (sm_75 and sm_90 counted apart), $spilling spill; $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')"
    printf '%-6s %-9s %-6s %-7s %-6s %-24s %s\n' spill registers stack shared arch file kernel
    awk '{ name = $7; for (i = 8; i <= NF; i++) name = name " " $i
           printf "%-6s %-9s %-6s %-7s %-6s %-24s %s%s\n", $1, $2, $3, $4, $5, $6, name, ($1 > 0 ? "   SPILLS" : "") }' "$work/all"
} >"$file"
head -n 1 "$file"
