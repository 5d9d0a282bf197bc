#!/usr/bin/env bash
# install.sh VENV LOCK: make the venv hold what the lock says, and this project. Nothing is resolved: the lock is complete.
set -euo pipefail
venv=$1 lock=$2 python=${PYTHON:-python3}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
make_venv() { "$python" -m venv --clear "$venv"; }
install() {
  # what is imported is compiled below: a fraction of what pip would
  pip install --quiet --no-compile --no-deps --require-hashes -r "$lock"
  pip install --quiet --no-deps --no-build-isolation --editable .
}
# Once, and not by eight services side by side. Where root starts them they run as another user, who may not keep the
# byte code, and each start would compile it again: 31 s of CPU instead of 8.
compile_services() {
  local python=(env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -c)
  "${python[@]}" 'import numba, services.agent.__main__, services.detector.__main__, services.ingest.__main__, services.topology.__main__' &
  "${python[@]}" 'import services.explainer.__main__, services.gateway.__main__, services.incidents.__main__, services.notifier.__main__'
  wait $!
}

"$python" -c 'import sys; sys.exit("Sensus needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
echo "installing $lock into $venv, which takes a minute"
pip --version >/dev/null 2>&1 || make_venv
install
# left over from an older lock, a package can want what this one does not hold
pip check >/dev/null || { make_venv; install; pip check; }
compile_services 2>/dev/null || echo "the services are compiled when they start"
