#!/usr/bin/env bash
# install.sh VENV LOCK: make the venv hold what the lock says, and this project. Nothing is resolved: the lock is complete.
set -euo pipefail
venv=$1 lock=$2 python=${PYTHON:-python3}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
make_venv() { "$python" -m venv --clear "$venv"; }
install() {
  # Python compiles what it imports: a fraction of what pip would
  pip install --quiet --no-compile --no-deps --require-hashes -r "$lock"
  pip install --quiet --no-deps --no-build-isolation --editable .
}

"$python" -c 'import sys; sys.exit("Sensus needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
echo "installing $lock into $venv, which takes a minute"
pip --version >/dev/null 2>&1 || make_venv
install
# left over from an older lock, a package can want what this one does not hold
pip check >/dev/null || { make_venv; install; pip check; }
