#!/usr/bin/env bash
# Draws the pictures of the page: of the demo in light and dark, of the tutorial's program, and of two releases. Each is run anew.
# Needs node and Chromium; made smaller by optipng, if that is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
made=$PWD/target/pictures
heapsight=$PWD/.venv/bin/heapsight
rm -rf "$made"
mkdir -p "$made"
cp examples/index_stdlib.py examples/tutorial/shop.py "$made"
cd "$made"

run() { # OUTPUT PROGRAM
	"$heapsight" run -q -o "$1.heapsight" "$2" >run.log
}
run index_stdlib index_stdlib.py
run shop shop.py
cp ../../examples/releases/index_1.py index.py
run old index.py
cp ../../examples/releases/index_2.py index.py
run new index.py
for name in index_stdlib shop; do
	"$heapsight" flamegraph "$name.heapsight" >run.log
done
"$heapsight" flamegraph -o change.html old.heapsight new.heapsight >run.log
cd ../..

node web/scripts/pictures.mjs docs/images \
	"page-light=$made/index_stdlib.html" "page-dark=$made/index_stdlib.html" \
	"tutorial=$made/shop.html" "difference=$made/change.html"
if command -v optipng >/dev/null; then
	optipng -quiet -o2 docs/images/*.png
fi
