#!/bin/bash
# kills.sh BIN N - kills a run of preset smoke N times at random moments, lets it end, and compares its tables with
# those of a run that nobody touched.  They must be the same bytes.
set -u
bin=${1:?usage: kills.sh BIN N}
n=${2:-6}
dir=$(mktemp -d "${TMPDIR:-/tmp}/guise-kills-XXXXXX")
trap 'rm -rf "$dir"' EXIT

"$bin/table3" --preset smoke --quiet --device cpu --run "$dir/whole" >"$dir/whole.txt" || exit 1
RANDOM=${SEED:-1}
killed=0
for ((i = 0; i < n; i++)); do
    "$bin/table3" --preset smoke --quiet --device cpu --run "$dir/killed" >/dev/null 2>"$dir/log" &
    pid=$!
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    if kill -9 $pid 2>/dev/null; then killed=$((killed + 1)); fi
    wait $pid 2>/dev/null
done
"$bin/table3" --preset smoke --quiet --device cpu --run "$dir/killed" >"$dir/killed.txt" || exit 1
for f in table3_validation.csv table3_test.csv; do
    cmp "$dir/whole/$f" "$dir/killed/$f" || exit 1
done
echo "killed $killed of $n times; both tables are the same bytes"
[ "$killed" -gt 0 ]
