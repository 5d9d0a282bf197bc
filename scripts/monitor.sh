#!/usr/bin/env bash
# Is a running Sensus well? Prints its health, and ends with status 1 when something that it needs is down.
#   scripts/monitor.sh [URL of the gateway]
set -euo pipefail
url=${1:-http://127.0.0.1:8080}
answer=$(curl --silent --show-error --max-time 10 "$url/health") || { echo "no answer from $url" >&2 && exit 1; }
python3 - "$answer" <<'PYTHON'
import json
import sys

health = json.loads(sys.argv[1])
print(f"{health['status']}  version {health['version']}")
for name, component in sorted(health["components"].items()):
    print(f"  {name:<12} {component['status']:<15} {component['latencyMs']:.1f} ms  {component.get('detail', '')}".rstrip())
sys.exit(health["status"] == "unhealthy")
PYTHON
