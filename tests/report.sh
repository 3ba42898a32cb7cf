# report.sh - what check.sh and check_gpu.sh share: parts with their times, counts of tests, one line each.
# Sourced; $log is a folder for the output of what runs.
# shellcheck shell=bash disable=SC2154
passed=0 failed=0 skipped=0
started=$SECONDS

part() { part=$1; part_started=$SECONDS; printf '\n== %s\n' "$part"; }
done_part() { printf -- '-- %s: %d s\n' "$part" $((SECONDS - part_started)); }
good() { passed=$((passed + 1)); printf 'ok    %s\n' "$1"; }
bad() { failed=$((failed + 1)); printf 'FAIL  %s\n' "$1"; [ ! -s "${2:-}" ] || tail -n 40 "$2" | sed 's/^/      | /'; }
skip() { skipped=$((skipped + 1)); printf 'skip  %s\n' "$1"; }

# step NAME COMMAND...: one command that must succeed
step() {
    local name=$1
    shift
    if "$@" >"$log/step" 2>&1; then good "$name"; else bad "$name" "$log/step"; fi
}

# suite NAME PROGRAM [VARIABLE=VALUE...]: a program of Check's, run by $under where it is not this machine's own; its
# counts are added
suite() {
    local name=$1 program=$2 out="$log/${1//[ \/]/_}"
    shift 2
    if [ ! -x "$program" ]; then bad "$name: $program was not built"; return; fi
    env "$@" timeout "${patience:-900}" ${under:+"$under"} "$program" >"$out" 2>&1
    local status=$? line
    line=$(grep -E '^[0-9]+%: Checks: ' "$out" | tail -n 1)
    local checks failures errors skips
    checks=$(sed -E 's/.*Checks: ([0-9]+).*/\1/' <<<"$line")
    failures=$(sed -E 's/.*Failures: ([0-9]+).*/\1/' <<<"$line")
    errors=$(sed -E 's/.*Errors: ([0-9]+).*/\1/' <<<"$line")
    skips=$(grep -c '^SKIP ' "$out")
    if [ -z "$line" ]; then bad "$name: ended with status $status and no counts" "$out"; return; fi
    failed=$((failed + failures + errors))
    skipped=$((skipped + skips))
    passed=$((passed + checks - failures - errors - skips))
    if [ "$status" = 0 ]; then printf 'ok    %-40s %s tests\n' "$name" "$checks"
    else printf 'FAIL  %s\n' "$name"; grep -vE '^Running suite' "$out" | tail -n 30 | sed 's/^/      | /'; fi
    grep '^SKIP ' "$out" | sed 's/^SKIP /      skipped: /'
}

programs() { for t in tests/[1-7]*.c; do basename "$t" .c; done; }
# programs whose tests go over the devices that are there, cuda too
device_programs() { grep -l '"cuda' tests/[1-7]*.c | grep -v '/70[01]_' | while read -r t; do basename "$t" .c; done; }

# counts: the last line; status 0 when nothing failed
counts() {
    printf '\nall parts: %d s\n%d passed, %d failed, %d skipped\n' $((SECONDS - started)) $passed $failed $skipped
    [ "$failed" = 0 ]
}
