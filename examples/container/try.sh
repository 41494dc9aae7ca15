#!/bin/sh
# The steps of the Containerfile, by hand in an empty folder: for machines without a container engine.
#   sh try.sh [wheel of kolben]   (without one: as `pip wheel` makes it from this clone; PYTHON=... names a Python
#                                  that every user can run)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

# build
mkdir "$work/wheels" "$work/build" "$work/site"
if [ $# -gt 0 ]; then cp "$1" "$work/wheels"; else
  $python -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels" "$here/../.."
fi
$python -m venv "$work/app"
"$work/app/bin/python" -m pip install --quiet --disable-pip-version-check \
  "kolben[serve] @ file://$(echo "$work"/wheels/kolben-*.whl)"
cp "$here/app.py" "$work/site"
"$work/app/bin/python" -m compileall -q "$work/site"

# run: nothing may be written, and nothing of this clone is seen
chmod -R a+rX "$work"
chmod -R a-w "$work/site"
cd "$work/site"
port=$($python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
run=
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  run="setpriv --reuid 10001 --regid 10001 --clear-groups"
fi
# (On this machine's own network there is no wall around it: 127.0.0.1 in place of 0.0.0.0.)
env -i PATH="$work/app/bin:/usr/bin:/bin" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT="$port" \
  $run kolben serve app:app --host 127.0.0.1 --access-log json --proxy-count 1 --grace 8 &
server=$!

# health check, one request, and the end that `docker stop` makes
check="import urllib.request as u; print(u.urlopen('http://127.0.0.1:$port/health', timeout=2).read())"
for _ in $(seq 50); do
  "$work/app/bin/python" -c "$check" 2>/dev/null && break
  sleep 0.2
done
"$work/app/bin/python" -c "$check"
echo "runs as user $(stat -c %u "/proc/$server")"
kill -TERM "$server"
wait "$server"
server=
echo "stopped with status 0"
