#!/bin/sh
# http_hello: nginx answers from its configuration, that is, from memory, with as many workers as the others have Ps.
set -eu
procs=1
seconds=2
while [ $# -gt 1 ]; do
  case $1 in
    --procs) procs=$2 ;;
    --scale) seconds=$(awk -v s="$2" 'BEGIN { n = int(2 * s); print n < 1 ? 1 : n }') ;;
  esac
  shift 2
done
here=$(dirname "$(readlink -f "$0")")
nginx=$(PATH=$PATH:/usr/sbin command -v nginx)
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; wait "$server" || true; rm -rf "$folder"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/nginx.conf" <<END
worker_processes $procs;
daemon off;
pid $folder/pid;
error_log $folder/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  default_type text/plain;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  server { listen 127.0.0.1:$port; location / { return 200 "Hello, World!"; } }
}
END
own=
other=
if [ "$procs" = 1 ] && [ "$(nproc)" -gt 1 ]; then
  cpus=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)))')
  own="taskset -c $(echo "$cpus" | cut -d" " -f1)"
  other="taskset -c $(echo "$cpus" | cut -d" " -f2)"
fi
$own "$nginx" -p "$folder" -c "$folder/nginx.conf" >"$folder/out" 2>&1 &
server=$!
until curl -s -o /dev/null "http://127.0.0.1:$port/"; do
  kill -0 "$server" || { cat "$folder/out" "$folder/error.log" >&2; exit 1; }
done
echo "ns_per_request=$($other "$here/bench_http_load" "$port" 100 "$seconds")"
