#!/bin/sh
# http_load PORT CONNECTIONS SECONDS: wrk against a server of this machine, after a warm-up of a second; nanoseconds of a
# request.
set -eu
command -v wrk >/dev/null || { echo "http_load: wrk is not installed" >&2; exit 1; }
url=http://127.0.0.1:$1/
wrk -t1 -c"$2" -d1s "$url" >/dev/null
wrk -t1 -c"$2" -d"$3"s "$url" | awk '
  /Non-2xx|Socket errors/ { bad = 1 }
  $1 == "Requests/sec:" { rate = $2 }
  END { if (bad || rate == 0) exit 1; printf "%.1f\n", 1e9 / rate }'
