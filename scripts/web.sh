#!/usr/bin/env bash
# The page's own sources, in web/: built, checked, tested. Only building it anew needs Node; without it, and without browsers, what
# cannot be done is skipped, and said.
#
#   scripts/web.sh build | check | test [NAME]
set -euo pipefail
cd "$(dirname "$0")/../web"
task=${1:?usage: scripts/web.sh build|check|test}

skip() {
	echo "web: cannot $task the page: $1"
	[ "$task" != build ]
	exit
}

command -v node >/dev/null || skip "node is not installed"
command -v npm >/dev/null || skip "npm is not installed"
if [ "$(node -p 'process.versions.node.split(".")[0] >= 20')" != true ]; then
	skip "node $(node --version) is older than 20"
fi
if [ node_modules/.package-lock.json -ot package-lock.json ]; then
	npm ci --no-audit --no-fund --silent || skip "its packages cannot be fetched (npm ci)"
	touch node_modules/.package-lock.json
fi
case $task in
build)
	node scripts/build.mjs
	;;
check)
	node_modules/.bin/tsc
	node_modules/.bin/biome check --error-on-warnings --log-level=error .
	node scripts/build.mjs --check
	;;
test)
	node scripts/test.mjs unit "${2:-}"
	node scripts/test.mjs browser "${2:-}"
	;;
*)
	echo "usage: scripts/web.sh build|check|test" >&2
	exit 2
	;;
esac
