// http_hello: a server answers every request with thirteen bytes; wrk asks over 100 connections. Time of a request. Warm-up: a
// second.
package main

import (
	"io"
	"net"
	"net/http"
	"strconv"

	"runnel_bench/common"
)

func main() {
	args := common.Parse()
	prefix := common.ShareCPUs(args.Procs)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "Hello, World!")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	port := listener.Addr().(*net.TCPAddr).Port
	seconds := strconv.Itoa(args.Scaled(2))
	ns := common.RunLoad(prefix, "bench_http_load", strconv.Itoa(port), "100", seconds)
	common.Print(common.Metric{Key: "ns_per_request", Value: ns})
}
