#!/usr/bin/env bash
# Draws the README's pictures of the page: the demo, run anew, in light and dark. Needs node and Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
made=target/pictures
mkdir -p "$made"
.venv/bin/heapsight run -f -o "$made/index_stdlib.heapsight" examples/index_stdlib.py 2>/dev/null >/dev/null
.venv/bin/heapsight flamegraph -f -o "$made/index_stdlib.html" "$made/index_stdlib.heapsight" >/dev/null
node web/scripts/pictures.mjs "$made/index_stdlib.html" docs/images
