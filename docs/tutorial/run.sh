#!/bin/sh
# run.sh FOLDER - runs the tutorial's steps that were built into FOLDER (make tutorial), each checks itself.
# Status 0: all right; 77: there is no GPU for them.
folder=${1:?usage: run.sh FOLDER}
failed=0
for step in "$folder"/[1-9]_*; do
    case $step in *.d) continue ;; esac
    "$step"
    status=$?
    if [ $status = 77 ]; then
        echo "tutorial: compiled for a GPU, and there is none here to run on"
        exit 77
    fi
    [ $status = 0 ] || failed=1
done
exit $failed
