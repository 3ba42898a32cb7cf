#!/bin/sh
# run.sh BIN [PRESET] - what `make run` does when everything is built: the paper's question in the small.
set -e
bin=$1
preset=${2:-${PRESET:-quick}}
run=${RUN:-runs/$preset}

cat <<END
guise: learning from synthetic faces, preset $preset (quick: about eight minutes on two quiet cores).
People are drawn, an identity network and a face-synthesis network are trained on them, faces are made with it,
and recognisers are trained on real and on made faces.  Results go to $run; run again to go on after an interruption.

END
"$bin/table3" --preset "$preset" --run "$run"
cat <<END

Try next
  $bin/table3 --preset quick --data folder:PATH     the same on your photographs: PATH/person/picture.jpg
  $bin/generate --run $run --identity A.png --attributes B.png --out DIR
  $bin/recognition --preset $preset --run $run --train reconstructed
  $bin/op list                                      every op, its formula and its kernels
  $bin/model summary generator                      Table 7 of the paper
  make check                                        the tests
END
